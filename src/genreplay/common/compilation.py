"""`torch.compile` with room for many variants, and one clear line where there is no compiler."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch._dynamo import config as dynamo_config
from torch._dynamo.exc import BackendCompilerFailed

from genreplay.common.errors import UserError

MAX_VARIANTS = 256
"""Of one function, for networks of many sizes in one process: torch counts them together, and gives up after 8."""

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R], option: str, what: str) -> Callable[P, R]:
    """`function` as one piece of generated code for each shape of its arguments, made when it is first called with it.

    Args:
        function: on tensors, without branches on their values.
        option: the key in the config that asked for it.
        what: the function is, for whoever is told that it cannot be compiled.

    Raises:
        UserError: in a call: it cannot be compiled here.
    """
    dynamo_config.recompile_limit = max(dynamo_config.recompile_limit, MAX_VARIANTS)
    generated: Any = torch.compile(function, fullgraph=True, dynamic=False)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return generated(*args, **kwargs)
        except BackendCompilerFailed as error:
            cause = str(error.__cause__ or error).strip().partition("\n")[0]
            raise UserError(
                f"{option}: {what} cannot be compiled here ({cause}); install a C++ compiler such as g++ "
                "(the environment variable CXX names another), or write false"
            ) from error

    return call
