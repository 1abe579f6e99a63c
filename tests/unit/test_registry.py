"""The registry: every entry is real, names are unique, plug-ins register."""

import dataclasses
import importlib.metadata
import re
import sys
import types
from pathlib import Path

import pytest

from genreplay import config, registry
from genreplay.common.errors import UserError

ENTRIES = [(kind, name) for kind in (*registry.KINDS, *registry.STUDY_KINDS) for name in registry.names(kind)]


@pytest.fixture
def own_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of a test vanish with it."""
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_an_entry_is_a_dataclass_that_knows_its_name_and_a_class_that_exists(kind: str, name: str) -> None:
    entry = registry.entry(kind, name)
    assert dataclasses.is_dataclass(entry.config)
    first, *_ = dataclasses.fields(entry.config)
    assert (first.name, first.default) == ("name", name)
    assert callable(entry.part) or (entry.part is None and name == "none")


@pytest.mark.parametrize(
    ("names", "own", "others"),
    [
        ("Curiosity|CuriosityConfig", "relevance/curiosity.py", {"relevance/config.py", "registry.py"}),
        ("EdmGenerator|EdmConfig", "generators/edm", {"generators/config.py", "registry.py"}),
        ("RedqSac|RedqSacConfig", "agents/continuous", {"agents/config.py", "registry.py"}),
        ("GymnasiumWorld|GymnasiumConfig", "envs/gymnasium", {"registry.py"}),
    ],
)
def test_a_part_is_named_in_the_files_that_the_page_on_extending_lists(names: str, own: str, others: set[str]) -> None:
    root = Path(registry.__file__).parent
    naming = {path.relative_to(root) for path in root.rglob("*.py") if re.search(rf"\b({names})\b", path.read_text())}
    assert {str(path) for path in naming if not path.is_relative_to(own)} == others


def test_unknown_names_tell_the_choices() -> None:
    with pytest.raises(UserError) as error:
        registry.entry("generator", "gan")
    assert (
        str(error.value) == "generator.name: there is no generator 'gan'; choose one of edm, factorised, masked, none"
    )


def test_names_are_unique_and_kinds_are_known(own_entries: None) -> None:
    with pytest.raises(ValueError, match=r"^register: env 'sumo' is registered already, as genreplay\.envs\.sumo"):
        registry.register("env", "sumo", "a:B", "a:C")
    with pytest.raises(
        ValueError, match=r"^register: kind must be one of env, agent, generator, relevance, launcher, not 'x'$"
    ):
        registry.register("x", "sumo", "a:B", "a:C")


@dataclasses.dataclass
class PluginConfig:
    name: str = "plugged_in"
    horizon: int = 5


def test_another_package_registers_through_an_entry_point(
    own_entries: None, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    plugin = types.ModuleType("a_plugin")
    plugin.PluginConfig = PluginConfig  # type: ignore[attr-defined]
    plugin.register = lambda: registry.register("env", "plugged_in", "a_plugin:PluginConfig", None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_plugin", plugin)
    point = importlib.metadata.EntryPoint("plugin", "a_plugin:register", "genreplay")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "genreplay" else [])
    registry._load_plugins.cache_clear()
    try:
        assert "plugged_in" in registry.names("env")
        (tmp_path / "x.yaml").write_text("env: {name: plugged_in, horizon: 7}\n")
        assert config.load(tmp_path / "x.yaml").env == PluginConfig(horizon=7)
    finally:
        registry._load_plugins.cache_clear()
