"""Wording of config errors: types and values as a user writes them, and similar names."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

MAX_LISTED_KEYS = 12


def unknown_key(key: str, known: list[str]) -> str:
    """Remedy for a key that is not among the `known` ones of its section."""
    if close := difflib.get_close_matches(key, known, n=1):
        return f"did you mean {close[0]!r}?"
    return f"the keys here are {', '.join(known[:MAX_LISTED_KEYS])}" + ", ..." * (len(known) > MAX_LISTED_KEYS)


def type_of(schema: DictConfig, key: str) -> Any:
    """The annotation of the dataclass field at `key`; None where it is no such field."""
    section, _, name = key.rpartition(".")
    owner = OmegaConf.get_type(OmegaConf.select(schema, section) if section else schema)
    return typing.get_type_hints(owner).get(name) if dataclasses.is_dataclass(owner) else None


def describe(hint: Any) -> str:
    """A type, as error messages call it."""
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    if hint in plain:
        return plain[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (list, tuple, Sequence):
        return "a list" + (f" with {describe(arguments[0])} in each place" if arguments else "")
    if origin is dict:
        return "a mapping"
    if arguments:
        return " or ".join(describe(argument) for argument in arguments)
    return f"a section of {getattr(hint, '__name__', hint)}"


def show(value: Any) -> str:
    """A value as it is written in YAML."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
