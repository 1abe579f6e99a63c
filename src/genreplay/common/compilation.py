"""`torch.compile` with room for many variants, and what happens where there is no C++ compiler."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import torch

from genreplay.common.errors import UserError, first_line
from genreplay.common.precision import Speed

MAX_VARIANTS = 256
"""Compiled variants of one function: torch counts networks of all sizes together, and gives up after 8 by default."""

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger("genreplay")


class CannotCompile(UserError):
    """The function `name` cannot be compiled on this machine, for the reason `cause`; nothing was computed."""

    def __init__(self, name: str, cause: str):
        super().__init__(
            f"speed: fast compiles {name}, which fails on this machine ({cause}); install a C++ compiler such as "
            "g++ (the environment variable CXX names another), or write speed: default"
        )
        self.name, self.cause = name, cause


def find_compiler(environment: Mapping[str, str] = os.environ) -> str | None:
    """Path of the C++ compiler that torch's code generator takes; None where there is none.

    It is the one that CXX names, else g++ (clang++ on macOS, cl on Windows).
    """
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    return shutil.which(environment.get("CXX", usual), path=environment.get("PATH", os.defpath))


def compiles(speed: Speed, device: torch.device) -> bool:
    """Whether to compile on `device`: always if it must, else on a CPU with a C++ compiler."""
    if not speed.eager_fallback:
        return speed.compile
    return speed.compile and device.type == "cpu" and find_compiler() is not None


def compiled(function: Callable[P, R], name: str) -> Callable[P, R]:
    """`function` as one piece of generated code for each shape of its arguments, compiled at its first call.

    It is returned as it is where torch's own switch, the environment variable TORCH_COMPILE_DISABLE, forbids compiling.

    Args:
        function: on tensors, without branches on their values.
        name: of the function, for error messages.

    Raises:
        CannotCompile: at a call, before anything is computed.
    """
    from torch._dynamo import config
    from torch._dynamo.exc import BackendCompilerFailed
    from torch._inductor import config as generator_config

    if config.disable:
        return function
    config.recompile_limit = max(config.recompile_limit, MAX_VARIANTS)
    generator_config.size_asserts = False  # it repeats torch's own checks of every argument
    generated: Any = torch.compile(function, fullgraph=True, dynamic=False)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return generated(*args, **kwargs)
        except BackendCompilerFailed as error:
            raise CannotCompile(name, first_line(error.inner_exception)) from error

    return call


def or_eager(generated: Callable[P, R], eager: Callable[P, R]) -> Callable[P, R]:
    """`generated`, until it raises `CannotCompile`: then, and from then on, `eager` with the same arguments.

    The log gets one line.
    """
    failed = False

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal failed
        if not failed:
            try:
                return generated(*args, **kwargs)
            except CannotCompile as error:
                failed = True
                log.warning("%s cannot be compiled on this machine (%s) and runs eagerly", error.name, error.cause)
        return eager(*args, **kwargs)

    return call
