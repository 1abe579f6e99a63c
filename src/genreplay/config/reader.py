"""Reads an experiment: schema defaults, then the files it extends, then the file, then `key=value` overrides.

A config file is a YAML tree of the sections in `schema.ExperimentConfig`. `extends:` names one file or a list of them,
relative to the file itself, or else shipped ones (`sumo_pgr`); later ones win over earlier ones, the file wins over all
it extends, and a file that is reached twice counts once, at its first place. Fragments (`conf/agents/redq.yaml`) are
files like any other.

A part's section holds the options of one part. A file or a command line that names another part there
(`agent.name=...`) discards what lower files set in that section, as those are options of the replaced part.

Everything is strict: an unknown key, a wrong type or a value out of range is a `UserError` of one line that names the
file (or the override), the key and the remedy.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genreplay.common.errors import UserError
from genreplay.common.files import read_text
from genreplay.common.secrets import masked
from genreplay.config import shipped
from genreplay.config.no_effect import without_effect
from genreplay.config.schema import DEFAULT_PARTS, ExperimentConfig
from genreplay.config.strict import Layer, Schema, parse, read_override, resolve, source_of

logger = logging.getLogger("genreplay")

EXPERIMENT = Schema(ExperimentConfig, DEFAULT_PARTS)


def load(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> ExperimentConfig:
    """The experiment in a file, with `key=value` overrides (dotted keys, YAML values) on top.

    Args:
        path: of the file, or the name of a shipped configuration, such as `sumo_pgr`.
        overrides: later ones win.

    Warns through the logger `genreplay` of options that have no effect.

    Raises:
        UserError: anything is wrong with the files or the overrides.
    """
    missing = shipped.missing(os.fspath(path))
    path = shipped.resolve(os.fspath(path))
    resolved = resolve(EXPERIMENT, groups_of(path, overrides, missing), path)
    _warn_of_no_effect(resolved.config, resolved.schema, resolved.layers)
    return resolved.config


def from_yaml(text: str, source: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """The experiment in a resolved tree, as `to_yaml` wrote it, of a checkpoint; others may have written it.

    Args:
        text: the tree.
        source: its name in messages.
        overrides: as of `load`.

    Raises:
        UserError: as of `load` and `check_module`.
    """
    config = from_tree(parse(text, source), source, overrides)
    check_module(config, source, overrides)
    return config


def check_module(config: ExperimentConfig, source: str, overrides: Sequence[str]) -> None:
    """UserError where a config that others may have written would import a module.

    A module may be used that was imported before, or that an override of `env.id` names.
    """
    module = getattr(config.env, "module", None)
    named = any(text.partition("=")[0].strip() == "env.id" for text in overrides)
    if module is not None and module not in sys.modules and not named:
        raise UserError(
            f"{source}: env.id: {config.env.id!r} would import the module {module!r}, which may do anything; if you "
            f"trust it, add env.id={config.env.id}"
        )


def from_tree(tree: dict[str, Any], source: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """The experiment with these options, without a file, and `key=value` overrides on top.

    Args:
        tree: sections with some of their keys.
        source: its name in messages.
        overrides: as of `load`, which warns of those without effect too.

    Raises:
        UserError: an option or an override is wrong.
    """
    resolved = resolve(EXPERIMENT, [[Layer(source, tree)], [read_override(text) for text in overrides]], source)
    if overrides:
        _warn_of_no_effect(resolved.config, resolved.schema, resolved.layers)
    return resolved.config


def to_yaml(config: ExperimentConfig) -> str:
    """The resolved tree without credentials; `load` reads it as the same experiment (see `store.store_uri`)."""
    return masked(OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(config))))


# Reading -------------------------------------------------------------------------------------------------------------


def groups_of(path: str, overrides: Sequence[str], if_missing: str) -> list[list[Layer]]:
    """The layers of a file and of what it extends, each alone, then those of the overrides together.

    Raises:
        UserError: a file cannot be read; with the text `if_missing` where there is no file `path`.
    """
    files = _read_with_bases(path, (), set(), if_missing)
    return [*([layer] for layer in files), [read_override(text) for text in overrides]]


def _read_with_bases(path: str, chain: tuple[str, ...], seen: set[str], if_missing: str) -> list[Layer]:
    """The file's layers, lowest first. `chain` leads here; `seen` are the files that already count."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise UserError(if_missing) from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read as a UTF-8 text file ({error}); write the path of a YAML file"
        ) from None
    if os.path.realpath(path) in map(os.path.realpath, chain):
        circle = " -> ".join([*chain, path])
        raise UserError(f"{chain[-1]}: extends: the files extend each other in a circle ({circle}); remove one link")
    if os.path.realpath(path) in seen:
        return []
    tree = parse(text, path)
    bases = tree.pop("extends", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not (isinstance(bases, list) and all(isinstance(base, str) for base in bases)):
        raise UserError(f"{path}: extends: must be a file name or a list of them, not {bases!r}")
    layers: list[Layer] = []
    folder = os.path.dirname(path)
    for base in bases:
        base_path = os.path.normpath(os.path.join(folder, base))
        missing = f"{path}: extends: there is no file {base_path}; names are relative to {folder or '.'}"
        if not os.path.exists(base_path):
            base_path = shipped.find(base) or base_path
        layers += _read_with_bases(base_path, (*chain, path), seen, missing)
    seen.add(os.path.realpath(path))
    return [*layers, Layer(path, tree)]


# Warning -------------------------------------------------------------------------------------------------------------


def _warn_of_no_effect(config: ExperimentConfig, schema: DictConfig, layers: list[Layer]) -> None:
    """Warn only of options that are set, and not to their defaults: a resolved tree sets everything."""
    defaults = OmegaConf.merge(schema, {kind: {"name": name} for kind, name in DEFAULT_PARTS.items()})
    for key, because in without_effect(config):
        source = source_of(key, layers)
        if source is not None and OmegaConf.select(defaults, key) != _attribute(config, key):
            logger.warning("%s: %s: has no effect: %s", source, key, because)


def _attribute(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = getattr(config, name)
    return config
