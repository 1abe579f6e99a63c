"""HTML pages in the common style: templates of the package, with autoescape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

PACKAGE = "genreplay.reporting"


def template(name: str, package: str = PACKAGE, filters: Mapping[str, Callable[..., Any]] | None = None) -> Template:
    """The template of a package; it may include those of this one, such as `page.css`."""

    def load(name: str) -> str | None:
        found = (files(place).joinpath(name) for place in (package, PACKAGE))
        return next((file.read_text(encoding="utf-8") for file in found if file.is_file()), None)

    environment = Environment(
        loader=FunctionLoader(load), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= dict(filters or {})
    return environment.get_template(name)
