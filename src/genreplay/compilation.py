"""What a call of a function that `torch.compile` made needs around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch._dynamo import config as dynamo_config
from torch._dynamo.exc import BackendCompilerFailed

from genreplay.errors import UserError

MAX_VARIANTS = 256
"""Of one function, for networks of many sizes in one process: torch counts them together, and gives up after 8."""


@contextmanager
def compiled_call(option: str, what: str) -> Iterator[None]:
    """Around the call, which compiles when it is the first of its kind.

    Args:
        option: the key in the config that asked for it.
        what: is compiled, in the plural.

    Raises:
        UserError: it cannot be compiled here.
    """
    with dynamo_config.patch(recompile_limit=MAX_VARIANTS):
        try:
            yield
        except BackendCompilerFailed as error:
            cause = str(error.__cause__ or error).strip().partition("\n")[0]
            raise UserError(
                f"{option}: {what} cannot be compiled here ({cause}); install a C++ compiler such as g++ "
                "(the environment variable CXX names another), or write false"
            ) from error
