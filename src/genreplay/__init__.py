"""Generative experience replay for online reinforcement learning; `genreplay.api` describes the Python interface."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genreplay.api import (
        UserError,
        evaluate,
        load_buffer,
        load_config,
        load_generator,
        load_policy,
        train,
    )

__all__ = ["UserError", "evaluate", "load_buffer", "load_config", "load_generator", "load_policy", "train"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """A name of the Python interface. What it needs, torch and MLflow among it, is loaded at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from genreplay import api

    return getattr(api, name)
