"""Import of overcooked-ai, in one place, with its workarounds. Stepping a kitchen does not need it."""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from genreplay.common.errors import UserError

PACKAGE = "overcooked_ai_py"


def data_folder() -> Path:
    """Folder of the package's layouts and human play. Imports nothing."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError("overcooked-ai is not installed; install genreplay with its dependencies")
    return Path(spec.origin).parent / "data"


def overcooked(module: str) -> ModuleType:
    """A module of overcooked-ai 1.1.0, such as `mdp.overcooked_mdp`.

    The package uses `np.Inf`, which NumPy 2 dropped, and imports the old `gym`, which prints a notice that it is no
    longer maintained; the name is put back, and the notice taken from gym's own list, before the import.
    """
    if not hasattr(np, "Inf"):
        np.Inf = np.inf  # type: ignore[attr-defined]
    import_module("gym_notices.notices").notices.clear()
    return import_module(f"{PACKAGE}.{module}")


def gridworld(layout: Any, dynamics: str = "new") -> Any:
    """The package's `OvercookedGridworld` of a kitchen's map, under the old or the new dynamics.

    Recipes are global in the package: only the gridworld made last steps as it should.
    """
    mdp = overcooked("mdp.overcooked_mdp").OvercookedGridworld
    base = mdp.from_grid(list(layout.grid), {"layout_name": layout.name, **_options(layout)})
    return base if dynamics == "new" else _with_old_dynamics(base)


def _options(layout: Any) -> dict[str, Any]:
    options = {key: value for key, value in layout.options.items() if key != "start_state"}
    if layout.options.get("start_state") is not None:
        state = overcooked("mdp.overcooked_mdp").OvercookedState
        options["start_state"] = state.from_dict(layout.options["start_state"])
    return options


def _with_old_dynamics(base: Any) -> Any:
    base.__class__ = _old_dynamics()
    return base


@cache
def _old_dynamics() -> type:
    """The `old_dynamics` of later versions: no cook starts a pot; a pot with three onions starts by itself."""

    class OldDynamics(overcooked("mdp.overcooked_mdp").OvercookedGridworld):  # type: ignore[misc]
        # The package's planners copy themselves to disk, with the class by its name (see `__getattr__`).
        __module__, __qualname__ = __name__, "OldDynamics"

        def soup_to_be_cooked_at_location(self, state: Any, pos: Any) -> bool:
            return False

        def step_environment_effects(self, state: Any) -> None:
            for soup in state.objects.values():
                if soup.name == "soup" and soup.is_idle and len(soup.ingredients) == 3:
                    soup.begin_cooking()
            super().step_environment_effects(state)

    return OldDynamics


def __getattr__(name: str) -> type:
    """`OldDynamics`, which needs the package to be imported first."""
    if name == "OldDynamics":
        return _old_dynamics()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
