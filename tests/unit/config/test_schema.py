"""Every shipped configuration, the round trip through YAML, and the documentation of the options."""

import ast
import dataclasses
import inspect
import logging
import math
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from genreplay import config, registry
from genreplay.config.schema import ExperimentConfig
from genreplay.studies.config import ArmConfig, StudyConfig
from tests.helpers.paths import CONF

FRAGMENTS = {"envs": "env", "agents": "agent", "generators": "generator", "relevance": "relevance"}
"""Folder of conf/, and the section that its files are about."""


def _files(are_fragments: bool):
    """Parameters of a test: the files of conf/ that are fragments, or those that are whole experiments."""
    files = (path for path in CONF.rglob("*.yaml") if path.parent.name != "study")
    paths = sorted(path for path in files if (path.parent.name in FRAGMENTS) == are_fragments)
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(CONF)) for path in paths])


@_files(are_fragments=False)
def test_every_experiment_loads_without_a_warning_and_comes_back(path: Path, tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING, logger="genreplay"):
        loaded = config.load(path)
    assert not caplog.records
    text = config.to_yaml(loaded)
    assert config.from_yaml(text, "config.yaml") == loaded
    (tmp_path / "x.yaml").write_text(text)
    assert config.load(tmp_path / "x.yaml") == loaded


@_files(are_fragments=True)
def test_every_fragment_tells_of_its_own_part_only_and_names_it(path: Path, tmp_path: Path) -> None:
    kind = FRAGMENTS[path.parent.name]
    own = OmegaConf.load(path)
    assert isinstance(own, DictConfig)
    bases = [path.parent / base for base in own.pop("extends", [])]
    assert all(base.parent == path.parent for base in bases)
    tree = OmegaConf.to_container(OmegaConf.merge(*map(OmegaConf.load, bases), own))
    assert isinstance(tree, dict)
    assert list(tree) == [kind]
    (tmp_path / "x.yaml").write_text(f"extends: {path}\n")
    needed = ["generator.name=edm"] if kind == "relevance" else []
    part = getattr(config.load(tmp_path / "x.yaml", needed), kind)
    schema = OmegaConf.structured(registry.entry(kind, tree[kind]["name"]).config)
    assert part == OmegaConf.to_object(OmegaConf.merge(schema, tree[kind]))


@settings(deadline=None, max_examples=25)
@given(
    name=st.text(st.characters(exclude_characters="$", exclude_categories=["Cs", "Cc"]), min_size=1),
    ratio=st.floats(min_value=0, max_value=1e6),
    seed=st.integers(0, 2**31 - 1),
)
def test_any_text_and_number_survives_the_resolved_tree(name: str, ratio: float, seed: int) -> None:
    before = config.from_yaml("", "x")
    before.tracking.run_name, before.loop.utd_ratio, before.seed = name, ratio, seed
    after = config.from_yaml(config.to_yaml(before), "config.yaml")
    assert after == before
    assert math.copysign(1, after.loop.utd_ratio) == math.copysign(1, ratio)


def _documented(owner: type) -> dict[str, bool]:
    """Whether a docstring line stands under each field of a dataclass."""
    module = ast.parse(inspect.getsource(sys.modules[owner.__module__]))
    body = next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == owner.__name__).body
    return {
        statement.target.id: isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        for statement, after in pairwise([*body, ast.Pass()])
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }


def test_every_option_is_documented() -> None:
    kinds = (*registry.KINDS, *registry.STUDY_KINDS)
    owners = [registry.entry(kind, name).config for kind in kinds for name in registry.names(kind)]
    owners += [ExperimentConfig, StudyConfig, ArmConfig]
    sections = {"name"}
    for owner in owners:
        for field in dataclasses.fields(owner):
            if dataclasses.is_dataclass(field.default_factory):
                owners.append(field.default_factory)  # a section: its own docstring and fields tell
                sections.add(field.name)
    for owner in owners:
        missing = [name for name, told in _documented(owner).items() if not told and name not in sections]
        assert not missing, f"{owner.__name__}: no docstring line under {', '.join(missing)}"
