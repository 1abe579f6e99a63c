"""Trees of options, checked against dataclasses and merged: the lowest layer first, the highest wins.

Everything is strict: an unknown key, a wrong type or a value out of range is a `UserError` of one line that names the
file (or the override), the key and the remedy.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from omegaconf import Container, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from genreplay import registry
from genreplay.common.errors import FieldError, UserError, first_line
from genreplay.config.messages import describe, show, type_of, unknown_key

MAX_NODES = 100_000
"""Keys and values in a file, aliases written out."""
MAX_REFERENCES = 20
"""`${...}` in a file: those that name each other grow exponentially."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """The tree of one file or one override."""

    source: str
    """Its name in messages."""
    tree: dict[str, Any]


class Schema(NamedTuple):
    """What a tree is checked against."""

    root: type
    """The dataclass of the whole tree."""
    parts: Mapping[str, str]
    """Its sections that `registry` has dataclasses for, each with the part of a tree that names none."""


class Resolved(NamedTuple):
    """A tree that passed every check."""

    config: Any
    """The dataclass."""
    schema: DictConfig
    """Every key with its type and default."""
    layers: list[Layer]
    """What was merged."""


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""As OmegaConf's."""
LARGEST = 2**63
"""No option holds such a number."""
_NOT_YAML = (yaml.YAMLError, ValueError, TypeError, RecursionError)
"""What YAML's and OmegaConf's readers raise upon a text that is no YAML, or a number that is none."""
_NO_SECTIONS = "must hold sections with keys, such as 'loop:' and 'num_env_steps: 3000' below it"


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else first_line(error)


def parse(text: str, source: str) -> dict[str, Any]:
    """The tree in a YAML text; `source` is its name in messages."""
    try:
        root = _refuse_bombs(text, source)
        if not isinstance(root, yaml.MappingNode | None):  # OmegaConf would take a bare word for a key, and show it
            raise UserError(f"{source}: {_NO_SECTIONS}")
        tree = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserError(f"{source}: {line}invalid YAML: {error.problem}; fix the syntax there") from None
    except OmegaConfBaseException as error:
        raise UserError(f"{source}: {error.full_key}: {first_line(error)}; fix the ${{...}} there") from None
    except _NOT_YAML as error:
        raise UserError(f"{source}: invalid YAML: {_reason(error)}; fix the syntax") from None
    if not isinstance(tree, dict):
        raise UserError(f"{source}: {_NO_SECTIONS}")
    return {str(key): value for key, value in tree.items()}


def read_override(text: str) -> Layer:
    """The tree of one `key=value`: dotted keys, and a YAML value."""
    source = f"override {text!r}"
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"{source}: has no '='; write key=value, such as loop.utd_ratio=20")
    names = key.strip().split(".")
    if not all(names):
        raise UserError(f"{source}: {key!r} is no key; write section.key=value, such as loop.utd_ratio=20")
    try:
        _refuse_bombs(value, source)
        parsed = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"]), resolve=False)
    except (*_NOT_YAML, OmegaConfBaseException) as error:
        raise UserError(f"{source}: the value is invalid YAML ({_reason(error)}); quote it") from None
    tree: Any = dict(parsed)["value"]  # type: ignore[arg-type]
    for name in reversed(names):
        tree = {name: tree}
    return Layer(source, tree)


def _refuse_bombs(text: str, source: str) -> yaml.Node | None:
    """Refuse YAML that is huge once its aliases are written out, and what calls a resolver, such as `${oc.env:HOME}`.

    A resolver's result would be stored with the run. Returns the root of the text, None where it is empty.
    """
    sizes: dict[yaml.Node, float] = {}

    def size(node: yaml.Node) -> float:
        if node not in sizes:
            sizes[node] = math.inf  # until it is known: an alias in what it names has no end
            parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
            sizes[node] = 1 + sum(map(size, () if isinstance(node, yaml.ScalarNode) else parts))
        return sizes[node]

    root = yaml.compose(text, _LOADER)
    if root is not None and size(root) > MAX_NODES:
        raise UserError(f"{source}: has more than {MAX_NODES:,} values; write it without *aliases that name each other")
    if text.count("${") > MAX_REFERENCES:
        raise UserError(f"{source}: has more than {MAX_REFERENCES} ${{...}}; write the values themselves")
    for node in sizes:
        if isinstance(node, yaml.ScalarNode) and ":" in node.value.partition("${")[2]:
            raise UserError(
                f"{source}: {node.value!r} would be looked up and stored with the run; write the value itself, and "
                "credentials in MLFLOW_TRACKING_URI"
            )
    return root


# Resolving -----------------------------------------------------------------------------------------------------------


def resolve(expected: Schema, groups: Sequence[Sequence[Layer]], path: str) -> Resolved:
    """Merge the groups, lowest first. A group's layers stand or fall together: one file, or all overrides.

    Args:
        expected: what the trees may hold.
        groups: of layers.
        path: named in messages about keys that no layer sets.

    Raises:
        UserError: a layer has an unknown key, a wrong type or a value out of range, or a key without a default is
            missing.
    """
    names, merged = dict(expected.parts), list[Layer]()
    schema, schema_names = _schema(expected.root, names), dict(names)
    for group in groups:
        for kind in expected.parts:
            name = _part_name(kind, group)
            if name is not None and name != names[kind]:
                merged = [Layer(lower.source, {k: v for k, v in lower.tree.items() if k != kind}) for lower in merged]
                names[kind] = name
        if names != schema_names:
            schema, schema_names = _schema(expected.root, names), dict(names)
        for layer in group:
            _check_keys(layer.source, layer.tree, schema, "")
            _check_types(layer, schema)
            merged.append(layer)
    tree = OmegaConf.merge(schema, *(layer.tree for layer in merged))
    assert isinstance(tree, DictConfig)
    return Resolved(_to_objects(tree, merged, path), schema, merged)


def _schema(root: type, names: Mapping[str, str]) -> DictConfig:
    """Every key with its type and default, for these parts."""
    schema = OmegaConf.structured(root)
    for kind, name in names.items():
        schema[kind] = OmegaConf.structured(registry.entry(kind, name).config)
        schema[kind].name = name
    return schema


def _part_name(kind: str, group: Sequence[Layer]) -> str | None:
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
        elif isinstance(child, DictConfig) and dataclasses.is_dataclass(child._metadata.element_type):
            _check_named(source, value, OmegaConf.structured(child._metadata.element_type), full_key)
        elif any(isinstance(n, int) and abs(n) >= LARGEST for n in (value if isinstance(value, list) else [value])):
            raise UserError(f"{source}: {full_key}: {show(value)} is too large; write a number below 2**63")
        elif _is_misshapen(child, value):
            described = describe(type_of(schema, str(key)))
            raise UserError(f"{source}: {full_key}: must be {described}, not {show(value)}; write all of it anew")


def _is_misshapen(child: Any, value: Any) -> bool:
    """Whether a list is no list or a mapping none, or something in it is one: OmegaConf does not look into them."""
    if not isinstance(child, Container) or not isinstance(value, list | Mapping):
        return False
    expected, inner = (list, value) if isinstance(child, ListConfig) else (Mapping, getattr(value, "values", list)())
    return not isinstance(value, expected) or any(isinstance(each, list | Mapping) for each in inner)


def _check_named(source: str, tree: Any, schema: DictConfig, path: str) -> None:
    """A section whose keys are names that the user gives, each with a section of the same kind."""
    if not isinstance(tree, Mapping):
        raise UserError(f"{source}: {path}: must hold names with a section for each, not {show(tree)}")
    for name, section in tree.items():
        if not isinstance(section, Mapping):
            example = f"{path}.{name}.{next(iter(schema))!s}"
            raise UserError(
                f"{source}: {path}.{name}: is a section, not {show(section)}; name one of its keys, such as {example}"
            )
        _check_keys(source, section, schema, f"{path}.{name}.")


def _check_types(layer: Layer, schema: DictConfig) -> None:
    try:
        OmegaConf.merge(schema, layer.tree)
    except OmegaConfBaseException as error:
        key = str(error.full_key or "").split("[")[0]
        hint = type_of(schema, key)
        remedy = f"must be {describe(hint)}, not {show(_at(layer.tree, key))}" if hint else first_line(error)
        raise UserError(f"{layer.source}: {key}: {remedy}") from None


def _to_objects(tree: DictConfig, layers: list[Layer], path: str) -> Any:
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
            raise UserError(f"{source_of(full_key, layers) or path}: {full_key}: {error.message}") from None
        except MissingMandatoryValue as error:
            raise UserError(f"{path}: {error.full_key}: has no default; write a value for it") from None
        except OmegaConfBaseException as error:
            full_key = str(error.full_key or key)
            raise UserError(f"{source_of(full_key, layers) or path}: {full_key}: {first_line(error)}") from None

    return build(tree, "")


# Look-ups ------------------------------------------------------------------------------------------------------------


def source_of(key: str, layers: list[Layer]) -> str | None:
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
