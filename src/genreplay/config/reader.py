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
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from genreplay import registry
from genreplay.common.errors import FieldError, UserError, first_line
from genreplay.config import shipped
from genreplay.config.messages import describe, show, type_of, unknown_key
from genreplay.config.no_effect import without_effect
from genreplay.config.schema import DEFAULT_PARTS, ExperimentConfig

logger = logging.getLogger("genreplay")


@dataclasses.dataclass(frozen=True)
class Layer:
    """The tree of one file or one override."""

    source: str
    """Its name in messages."""
    tree: dict[str, Any]


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
    files = _read_with_bases(path, (), set(), missing)
    return _resolve([[layer] for layer in files] + [[_read_override(text) for text in overrides]], path, warn=True)


def from_yaml(text: str, source: str) -> ExperimentConfig:
    """The experiment in a resolved tree, as `to_yaml` wrote it; `source` is its name in messages."""
    return _resolve([[Layer(source, _parse(text, source))]], source, warn=False)


def from_tree(tree: dict[str, Any], source: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """The experiment with these options, without a file, and `key=value` overrides on top.

    Args:
        tree: sections with some of their keys.
        source: its name in messages.
        overrides: as of `load`.

    Raises:
        UserError: an option or an override is wrong.
    """
    return _resolve([[Layer(source, tree)], [_read_override(text) for text in overrides]], source, warn=False)


def to_yaml(config: ExperimentConfig) -> str:
    """The resolved tree; `load` reads it as the same experiment."""
    return OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(config)))


# Reading -------------------------------------------------------------------------------------------------------------


def _read_with_bases(path: str, chain: tuple[str, ...], seen: set[str], if_missing: str) -> list[Layer]:
    """The file's layers, lowest first. `chain` leads here; `seen` are the files that already count."""
    if os.path.realpath(path) in map(os.path.realpath, chain):
        circle = " -> ".join([*chain, path])
        raise UserError(f"{chain[-1]}: extends: the files extend each other in a circle ({circle}); remove one link")
    if os.path.realpath(path) in seen:
        return []
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise UserError(if_missing) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read as a UTF-8 text file ({error}); write the path of a YAML file"
        ) from None
    tree = _parse(text, path)
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


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        tree = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserError(f"{source}: {line}invalid YAML: {error.problem}; fix the syntax there") from None
    except yaml.YAMLError as error:
        raise UserError(f"{source}: invalid YAML: {first_line(error)}; fix the syntax") from None
    except OmegaConfBaseException as error:
        raise UserError(f"{source}: {error.full_key}: {first_line(error)}; fix the ${{...}} there") from None
    if not isinstance(tree, dict):
        raise UserError(f"{source}: must hold sections with keys, such as 'loop:' and 'num_env_steps: 3000' below it")
    return {str(key): value for key, value in tree.items()}


def _read_override(text: str) -> Layer:
    source = f"override {text!r}"
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"{source}: has no '='; write key=value, such as loop.utd_ratio=20")
    names = key.strip().split(".")
    if not all(names):
        raise UserError(f"{source}: {key!r} is no key; write section.key=value, such as loop.utd_ratio=20")
    try:
        parsed = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"]), resolve=False)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{source}: the value is invalid YAML ({first_line(error)}); quote it") from None
    tree: Any = dict(parsed)["value"]  # type: ignore[arg-type]
    for name in reversed(names):
        tree = {name: tree}
    return Layer(source, tree)


# Resolving -----------------------------------------------------------------------------------------------------------


def _resolve(groups: list[list[Layer]], path: str, warn: bool) -> ExperimentConfig:
    """Merge the groups, lowest first. A group's layers stand or fall together: one file, or all overrides."""
    names, merged = dict(DEFAULT_PARTS), list[Layer]()
    schema, schema_names = _schema(names), dict(names)
    for group in groups:
        for kind in registry.KINDS:
            name = _part_name(kind, group)
            if name is not None and name != names[kind]:
                merged = [Layer(lower.source, {k: v for k, v in lower.tree.items() if k != kind}) for lower in merged]
                names[kind] = name
        if names != schema_names:
            schema, schema_names = _schema(names), dict(names)
        for layer in group:
            _check_keys(layer.source, layer.tree, schema, "")
            _check_types(layer, schema)
            merged.append(layer)
    tree = OmegaConf.merge(schema, *(layer.tree for layer in merged))
    assert isinstance(tree, DictConfig)
    config = _to_objects(tree, merged, path)
    if warn:
        _warn_of_no_effect(config, schema, merged)
    return config


def _schema(names: Mapping[str, str]) -> DictConfig:
    """Every key with its type and default, for a run of these parts."""
    schema = OmegaConf.structured(ExperimentConfig)
    for kind, name in names.items():
        schema[kind] = OmegaConf.structured(registry.entry(kind, name).config)
        schema[kind].name = name
    return schema


def _part_name(kind: str, group: list[Layer]) -> str | None:
    """The part that this group names last, checked to exist."""
    for layer in reversed(group):
        section = layer.tree.get(kind)
        if isinstance(section, Mapping) and section.get("name") is not None:
            try:
                return registry.entry(kind, str(section["name"])).name
            except UserError as error:
                raise UserError(f"{layer.source}: {error}") from None
    return None


def _check_keys(source: str, tree: Mapping[Any, Any], schema: DictConfig, path: str) -> None:
    known = [str(key) for key in schema]
    for key, value in tree.items():
        full_key = f"{path}{key}"
        if key not in known:
            raise UserError(f"{source}: {full_key}: unknown key; {unknown_key(str(key), known)}")
        child = None if OmegaConf.is_missing(schema, key) else schema[key]
        if isinstance(child, DictConfig) and dataclasses.is_dataclass(OmegaConf.get_type(child)):
            if not isinstance(value, Mapping):
                raise UserError(
                    f"{source}: {full_key}: is a section, not {show(value)}; name one of its keys, such as "
                    f"{full_key}.{next(iter(child))!s}"
                )
            _check_keys(source, value, child, f"{full_key}.")


def _check_types(layer: Layer, schema: DictConfig) -> None:
    try:
        OmegaConf.merge(schema, layer.tree)
    except OmegaConfBaseException as error:
        key = str(error.full_key or "").split("[")[0]
        hint = type_of(schema, key)
        remedy = f"must be {describe(hint)}, not {show(_at(layer.tree, key))}" if hint else first_line(error)
        raise UserError(f"{layer.source}: {key}: {remedy}") from None


def _to_objects(tree: DictConfig, layers: list[Layer], path: str) -> ExperimentConfig:
    """The dataclasses, made from the leaves up so that a range error is known by its whole key."""

    def build(node: Any, key: str) -> Any:
        names: list[Any] = list(node) if isinstance(node, DictConfig) else list(range(len(node)))
        for name in names:
            given = not (OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name))
            if given and OmegaConf.is_config(node[name]):
                build(node[name], f"{key}.{name}" if key else str(name))
        try:
            return OmegaConf.to_object(node)
        except FieldError as error:
            full_key = f"{key}.{error.field}" if key else error.field
            raise UserError(f"{_source_of(full_key, layers) or path}: {full_key}: {error.message}") from None
        except MissingMandatoryValue as error:
            raise UserError(f"{path}: {error.full_key}: has no default; write a value for it") from None
        except OmegaConfBaseException as error:
            full_key = str(error.full_key or key)
            raise UserError(f"{_source_of(full_key, layers) or path}: {full_key}: {first_line(error)}") from None

    return build(tree, "")


def _warn_of_no_effect(config: ExperimentConfig, schema: DictConfig, layers: list[Layer]) -> None:
    """Warn only of options that are set, and not to their defaults: a resolved tree sets everything."""
    defaults = OmegaConf.merge(schema, {kind: {"name": name} for kind, name in DEFAULT_PARTS.items()})
    for key, because in without_effect(config):
        source = _source_of(key, layers)
        if source is not None and OmegaConf.select(defaults, key) != _attribute(config, key):
            logger.warning("%s: %s: has no effect: %s", source, key, because)


# Look-ups ------------------------------------------------------------------------------------------------------------


def _source_of(key: str, layers: list[Layer]) -> str | None:
    """The file or override whose value counts for `key`; None where the default does."""
    for layer in reversed(layers):
        if _sets(layer.tree, key):
            return layer.source
    return None


def _sets(tree: Any, key: str) -> bool:
    """Whether `tree` gives `key` a value, be it as part of a whole list."""
    for name in key.split("."):
        if not isinstance(tree, Mapping):
            return True
        if name not in tree:
            return False
        tree = tree[name]
    return True


def _at(tree: Any, key: str) -> Any:
    for name in key.split("."):
        tree = tree[name] if isinstance(tree, Mapping) else None
    return tree


def _attribute(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = getattr(config, name)
    return config
