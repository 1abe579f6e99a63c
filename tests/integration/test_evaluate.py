"""`genreplay evaluate` from a checkpoint to tables, files and artifacts, on real simulators and a real store."""

import csv
import json
from pathlib import Path

import pytest
import torch
from tensordict import TensorDict

from genreplay import cli, config
from genreplay.build import build_agent, build_world
from genreplay.evaluation.plan import NUM_SEARCH_EPISODES
from genreplay.runs import checkpoint
from genreplay.runs.policy import load_policy
from genreplay.runs.tracker import Tracker
from genreplay.transitions.keys import ACTION, OBSERVATION

FILES = ["delay.png", "episodes.csv", "evaluation.json", "greens.csv", "greens.png", "metrics.png", "movements.csv",
         "summary.csv", "tables.txt"]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and a run whose checkpoint holds an agent with its first weights."""
    folder = tmp_path_factory.mktemp("trained")
    path = folder / "x.yaml"
    path.write_text(
        f"env: {{episode_seconds: 240}}\nagent: {{hidden_width: 16}}\nreplay: {{synthetic_fraction: 0}}\n"
        f"tracking: {{uri: 'sqlite:///{folder}/mlruns/mlflow.db', run_name: short}}\n"
    )
    experiment = config.load(path)
    with Tracker.start(experiment.tracking, config.to_yaml(experiment)) as tracker:
        checkpoint.save(
            tracker.checkpoint_dir,
            modules={"agent": build_agent(experiment, build_world(experiment)).state_dict()},
            optimizers={},
            buffers=TensorDict({"real": torch.zeros(1)}, batch_size=[]),
            counters={"run_id": tracker.run_id, "counters": {"env_step": 7}, "report": {"curve": []}},
            config_yaml=config.to_yaml(experiment),
        )
    return folder


def store(trained: Path) -> str:
    return f"tracking.uri=sqlite:///{trained}/mlruns/mlflow.db"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_policy_is_the_checkpoints(trained: Path) -> None:
    folder = next(trained.rglob("checkpoints"))
    loaded = load_policy(folder)
    assert loaded.env_step == 7
    assert loaded.config.env.episode_seconds == 240
    widths = loaded.world.layout.widths()
    observation = torch.rand(4, widths[OBSERVATION])
    agent = build_agent(loaded.config, loaded.world)
    agent.load_state_dict(checkpoint.load(folder).modules["agent"])
    expected = agent.policy(deterministic=True)(TensorDict({OBSERVATION: observation}, batch_size=[4]))[ACTION]
    acted = loaded.policy(TensorDict({OBSERVATION: observation}, batch_size=[4]))[ACTION]
    assert torch.equal(acted, expected)
    assert acted.abs().sum() > 0


@pytest.mark.slow
def test_every_controller_on_the_same_episodes(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the searched plan, with one worker and with three: tables, files, artifacts."""
    monkeypatch.chdir(tmp_path)
    names = "fixed_plan,webster,actuated,delay_based,fully_actuated,max_pressure,longest_queue,random"
    outputs = [tmp_path / "one", tmp_path / "three"]
    for output, workers in zip(outputs, ("1", "3"), strict=True):
        argv = ["evaluate", "--run", "short", "--demand", "1500,surge", "--seeds", "4-5", "--baselines", names]
        assert cli.main([*argv, "--workers", workers, "--output", str(output), store(trained)]) == 0
    out = capsys.readouterr().out
    assert "Interquartile mean delay (s), over seeds" in out
    assert "policy saves" in out
    assert "surge*" in out
    first, again = ((output / "episodes.csv").read_text() for output in outputs)
    assert first == again

    episodes = rows(outputs[0] / "episodes.csv")
    assert len(episodes) == 9 * 2 * 2
    vehicles: dict[tuple[str, str], set[str]] = {}
    for episode in episodes:
        vehicles.setdefault((episode["demand"], episode["seed"]), set()).add(episode["num_vehicles"])
        assert float(episode["delay"]) > 0
    assert all(len(counts) == 1 for counts in vehicles.values())  # the very same demand
    assert len({counts.copy().pop() for counts in vehicles.values()}) > 1
    assert {(e["demand"], e["in_range"]) for e in episodes} == {("1500", "1"), ("surge", "0")}

    movements = rows(outputs[0] / "movements.csv")
    assert (outputs[1] / "movements.csv").read_text() == (outputs[0] / "movements.csv").read_text()
    for episode in episodes:
        key = ("controller", "demand", "seed")
        own = [row for row in movements if all(row[name] == episode[name] for name in key)]
        # Who wants to enter in the last second of all waits at no approach yet.
        assert 0 <= float(episode["num_vehicles"]) - sum(float(row["vehicles"]) for row in own) <= 3
        assert {row["level_of_service"] for row in own} <= set("ABCDEF")
    assert "Delay (s) of movements" in out

    greens = rows(outputs[0] / "greens.csv")
    assert (outputs[1] / "greens.csv").read_text() == (outputs[0] / "greens.csv").read_text()
    assert len(greens) == 9 * 2 * 4
    assert sum(float(row["share"]) for row in greens) == pytest.approx(9 * 2)
    assert "Greens by stage: median and 10 to 90 % (s), share of green time" in out
    (line,) = {line for line in out.splitlines() if line.startswith("worst episode: the policy has ")}
    assert line.endswith("of 4 episodes above 2 times")
    assert line in (outputs[0] / "tables.txt").read_text().splitlines()

    artifacts = next(trained.rglob("evaluation"))
    for folder in (outputs[0], artifacts):
        assert sorted(path.name for path in folder.iterdir()) == FILES
    about = json.loads((artifacts / "evaluation.json").read_text())
    assert (about["seeds"], about["env_step"]) == ([4, 5], 7)
    assert config.from_yaml(about["config"], "x").env.episode_seconds == 240


@pytest.mark.slow
def test_the_best_constant_plan_is_searched_for_and_beats_the_maps(tmp_path: Path, capsys, monkeypatch) -> None:
    """Baselines alone; the cost of the search is told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text("env: {episode_seconds: 600}\nreplay: {synthetic_fraction: 0}\n")
    argv = ["evaluate", "--config", "x.yaml", "--demand", "1000", "--seeds", "1-3"]
    argv += ["--baselines", "fixed_plan,constant_plan", "--output", "out"]
    assert cli.main(argv) == 0
    of = {row["controller"]: float(row["mean"]) for row in rows(Path("out/summary.csv")) if row["metric"] == "delay"}
    assert of["constant_plan"] < 0.8 * of["fixed_plan"]
    search = json.loads(Path("out/evaluation.json").read_text())["searches"]["constant_plan"]
    assert NUM_SEARCH_EPISODES <= search["num_episodes"] < 0.7 * NUM_SEARCH_EPISODES * search["num_tried"]
    assert 600 * NUM_SEARCH_EPISODES < search["simulated_seconds"] < 600 * search["num_episodes"]
    assert len(search["settings"]["1000"]["greens"]) == 4
    assert f"{search['simulated_seconds']:,.0f} simulated seconds" in capsys.readouterr().out


def test_an_environment_without_baselines(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text("env: {name: gymnasium}\nreplay: {synthetic_fraction: 0}\n")
    for argv, message in (
        ([], "evaluate: there is nothing to evaluate; give --run, --checkpoint or --baselines"),
        (["--demand", "1500"], "--demand: this environment has one demand only; leave --demand out"),
        (["--baselines", "webster"], "--baselines webster: there is no such baseline; write none"),
    ):
        assert cli.main(["evaluate", "--config", "x.yaml", *argv]) == 2
        assert capsys.readouterr().err == f"genreplay: error: {message}\n"


MISTAKES = [
    (["--seeds", "3-1"], "--seeds 3-1: '3-1' is no seed and no range of seeds; write such as 101-105 or 1,2,3"),
    (["--seeds", ","], "--seeds: names no seed; write such as 101-105 or 1,2,3"),
    (
        ["--workers", "0"],
        "argument --workers: must be a whole number from 1 on, not '0'; see genreplay evaluate --help",
    ),
    (
        ["--baselines", "fixed_plan,websterr"],
        "--baselines websterr: there is no such baseline; choose among fixed_plan, webster, constant_plan, actuated, "
        "delay_based, fully_actuated, fully_actuated_loops, actuated_queue, max_pressure, longest_queue, random, or "
        "none",
    ),
    (
        ["--demand", "rush"],
        "--demand rush: there is no such demand; give a flow in [10, 20000] vehicles/h, such as 1500, or one of tidal, "
        "surge, other_day",
    ),
    (["--output", "x.yaml"], "--output x.yaml: cannot be written to (File exists); name another folder"),
]


@pytest.mark.parametrize(("argv", "message"), MISTAKES)
def test_mistakes_are_told_in_one_line(tmp_path: Path, capsys, monkeypatch, argv: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text("replay: {synthetic_fraction: 0}\n")
    assert cli.main(["evaluate", "--config", "x.yaml", *argv]) == 2
    assert capsys.readouterr().err == f"genreplay: error: {message}\n"


def test_a_run_that_is_not_there(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert cli.main(["evaluate", "--run", "last"]) == 2
    assert capsys.readouterr().err == (
        "genreplay: error: --run last: there is no such folder, and no run in sqlite:///mlruns/mlflow.db yet; "
        "begin one with: genreplay fit --config FILE\n"
    )
