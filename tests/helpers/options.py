"""Config dataclasses with some options set."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

Config = TypeVar("Config")


def with_options(kind: type[Config], options: dict[str, Any]) -> Config:
    """A `kind` with its defaults but for the dotted keys in `options`, such as `fit.num_steps`."""
    config: Any = kind()
    for section in [field.name for field in fields(config) if is_dataclass(getattr(config, field.name))]:
        within = {key.partition(".")[2]: value for key, value in options.items() if key.startswith(f"{section}.")}
        config = replace(config, **{section: replace(getattr(config, section), **within)})
    return replace(config, **{key: value for key, value in options.items() if "." not in key})
