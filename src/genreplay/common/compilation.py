"""`torch.compile` with room for many variants, and a one-line error where there is no compiler."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch._dynamo import config as dynamo_config
from torch._dynamo.exc import BackendCompilerFailed

from genreplay.common.errors import UserError

MAX_VARIANTS = 256
"""Compiled variants of one function: torch counts networks of all sizes together, and gives up after 8 by default."""

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R], name: str) -> Callable[P, R]:
    """`function` as one piece of generated code for each shape of its arguments, compiled at its first call.

    Args:
        function: on tensors, without branches on their values.
        name: of the function, for error messages.

    Raises:
        UserError: at a call: it cannot be compiled on this machine.
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
                f"speed: fast compiles {name}, which fails on this machine ({cause}); install a C++ compiler such as "
                "g++ (the environment variable CXX names another), or write speed: default"
            ) from error

    return call
