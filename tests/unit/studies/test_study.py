"""Study files: the cells they give, and the message of every mistake."""

from pathlib import Path

import pytest

from genreplay.studies import study
from genreplay.studies.study import Cell
from tests.helpers.paths import CONF
from tests.helpers.refusal import refusal
from tests.helpers.studies import REAL, TINY, write


@pytest.fixture(autouse=True)
def _in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_cells_are_arms_times_seeds_each_with_its_own_config(tmp_path):
    tiny = study.load(write(tmp_path))
    assert [str(cell) for cell in tiny.experiments] == ["slow/0", "usual/0", "slow/1", "usual/1"]
    experiment = tiny.experiments[Cell("slow", 1)]
    assert (experiment.seed, experiment.agent.actor_learning_rate, experiment.loop.num_env_steps) == (1, 0.0001, 240)
    tracking = experiment.tracking
    assert (tracking.experiment, tracking.run_name) == ("tiny", "slow-seed1")
    assert tracking.tags == {"study": "tiny", "arm": "slow", "seed": "1"}
    assert tiny.experiments[Cell("slow", 0)].tracking.tags["seed"] == "0"
    assert (tiny.uri, tiny.folder) == ("sqlite:///mlruns/mlflow.db", Path("mlruns/studies/tiny"))


def test_an_arm_names_a_file_next_to_the_study_and_wins_over_the_study(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/own.yaml").write_text("extends: pendulum_pgr\nloop: {num_workers: 3}\n")
    name = write(
        tmp_path / "deep",
        arms={"usual": {"config": "own.yaml", "overrides": [*REAL, "loop.utd_ratio=8", "tracking.experiment=mine"]}},
    )
    loaded = study.load(f"deep/{name}", ["seeds=[5]", "launcher.cells=3"])
    (experiment,) = loaded.experiments.values()
    assert (experiment.loop.num_workers, experiment.loop.utd_ratio, experiment.seed) == (3, 8, 5)
    assert (loaded.experiment, loaded.config.launcher.cells) == ("mine", 3)


@pytest.mark.parametrize("name", [path.stem for path in (CONF / "study").glob("*.yaml")])
def test_every_shipped_study_loads_by_name(name):
    loaded = study.load(name)
    assert loaded.name == name
    assert len(loaded.experiments) == len(loaded.config.arms) * len(loaded.config.seeds)


MISTAKES = [
    ({"arms": {}}, "tiny.yaml: arms: must name at least one arm, such as `pgr: {config: pendulum_pgr}`"),
    ({"seeds": []}, "tiny.yaml: seeds: must name at least one training seed, such as [0, 1, 2, 3]"),
    ({"seeds": [1, 1]}, "tiny.yaml: seeds: must differ from each other, not [1, 1]"),
    ({"seeds": [-1]}, "tiny.yaml: seeds: must not be negative, not -1"),
    ({"retries": -1}, "tiny.yaml: retries: must be at least 0, not -1"),
    (
        {"name": "a/b"},
        "tiny.yaml: name: 'a/b' must be letters, digits and . _ + - only, with a letter or a digit first",
    ),
    (
        {"arms": {"x y": {"config": "pendulum_pgr"}}},
        "tiny.yaml: arms: 'x y' must be letters, digits and . _ + - only, with a letter or a digit first",
    ),
    (
        {"arms": {"usual": {"confg": "pendulum_pgr"}}},
        "tiny.yaml: arms.usual.confg: unknown key; did you mean 'config'?",
    ),
    (
        {"arms": {"usual": "pendulum_pgr"}},
        "tiny.yaml: arms.usual: is a section, not 'pendulum_pgr'; name one of its keys, such as arms.usual.config",
    ),
    ({"arms": ["usual"]}, "tiny.yaml: arms: must hold names with a section for each, not ['usual']"),
    ({"arms": {"usual": {}}}, "tiny.yaml: arms.usual.config: has no default; write a value for it"),
    (
        {"arms": {"usual": {"config": "pendulum_pgr", "overrides": ["sed=1"]}}},
        "tiny.yaml: arms.usual: override 'sed=1': sed: unknown key; did you mean 'seed'?",
    ),
    (
        {"arms": {"usual": {"config": "pendulum_pgr", "overrides": ["seed=1"]}}},
        "tiny.yaml: arms.usual: seed=1 would give all runs one seed; list the seeds in seeds:",
    ),
    (
        {
            "arms": {
                "usual": {"config": "pendulum_pgr", "overrides": REAL},
                "other": {"config": "pendulum_pgr", "overrides": [*REAL, "tracking.experiment=x"]},
            }
        },
        "tiny.yaml: arms: all must have the same tracking.experiment, not usual: tiny, other: x; set it in the study's "
        "overrides",
    ),
    ({"plan": {"metric": "return"}}, "tiny.yaml: plan.baseline: has no default; write a value for it"),
    (
        {"plan": {"metric": "return", "baseline": "none", "expected": "lower"}},
        "tiny.yaml: plan.baseline: there is no arm 'none'; choose one of slow, usual",
    ),
    (
        {"plan": {"metric": "return", "baseline": "usual", "expected": "better"}},
        "tiny.yaml: plan.expected: must be one of lower, higher, not 'better'",
    ),
    (
        {"plan": {"metric": "return", "baseline": "usual", "expected": "lower", "measure": "steps_to_threshold"}},
        "tiny.yaml: plan.threshold: the measure steps_to_threshold needs one",
    ),
    (
        {"plan": {"metric": "return", "baseline": "usual", "expected": "lower", "threshold": 3}},
        "tiny.yaml: plan.threshold: the measure area has none; leave it out",
    ),
    (
        {
            "plan": {
                "metric": "return",
                "baseline": "usual",
                "expected": "lower",
                "since_env_step": 9,
                "until_env_step": 9,
            }
        },
        "tiny.yaml: plan.until_env_step: must be above plan.since_env_step (9), not 9",
    ),
    (
        {"launcher": {"name": "loca"}},
        "tiny.yaml: launcher.name: there is no launcher 'loca'; choose one of local, ray, slurm",
    ),
    ({"launcher": {"cores": 0}}, "tiny.yaml: launcher.cores: must be at least 1, or null, not 0"),
    ({"launcher": {"memory_gb": 0}}, "tiny.yaml: launcher.memory_gb: must be above 0, not 0.0"),
    (
        {"launcher": {"name": "slurm", "minutes": 3}},
        "tiny.yaml: launcher.minutes: must be at least 5, not 3: saving may take 2 of them",
    ),
    (
        {"launcher": {"name": "slurm", "cluster": "pbs"}},
        "tiny.yaml: launcher.cluster: must be one of slurm, local, not 'pbs'",
    ),
    (
        {"launcher": {"name": "ray", "address": ""}},
        "tiny.yaml: launcher.address: must not be empty; write auto, or HOST:PORT of the head",
    ),
    (
        {"launcher": {"name": "slurm"}},
        "tiny.yaml: tracking.uri: sqlite:///mlruns/mlflow.db is a file of one machine, and launcher slurm runs cells "
        "on several; name an MLflow server that all of them reach, such as http://host:5000 (docs/studies.md)",
    ),
    (
        {"launcher": {"name": "ray"}, "overrides": [*TINY, "tracking.uri=sqlite:///x.db"]},
        "tiny.yaml: tracking.uri: sqlite:///x.db is a file of one machine, and launcher ray runs cells on several; "
        "name an MLflow server that all of them reach, such as http://host:5000 (docs/studies.md)",
    ),
    ({"launcher": {"cells": 0}}, "tiny.yaml: launcher.cells: must be at least 1, or null, not 0"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_mistakes(changes, message, tmp_path):
    name = write(tmp_path, **changes)
    assert refusal(lambda: study.load(name)) == message


def test_no_such_study_and_no_such_cell(tmp_path):
    assert refusal(lambda: study.load("pendulun")) == (
        "pendulun: no such study file, and no study of this name; write a path, or one of controller_2way, "
        "controller_cologne1, controller_ingolstadt1, pendulum"
    )
    tiny = study.load(write(tmp_path))
    assert tiny.cell("slow/1") == Cell("slow", 1)
    assert refusal(lambda: tiny.cell("slow/2")) == (
        "--cell slow/2: the study tiny has no such cell; write one of slow/0, usual/0, slow/1, usual/1"
    )
