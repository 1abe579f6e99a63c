"""The exported policy decides as the original, on observations and in a live SUMO, without genreplay or torch."""

import csv
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import sumo
import torch

from genreplay import cli
from genreplay.common.errors import UserError
from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.actions import decode_action
from genreplay.envs.sumo.config import SENSORS
from genreplay.envs.sumo.sensors.table import failed_lanes
from genreplay.envs.sumo.signals.timing import WITH_CHOICE
from genreplay.envs.sumo.traffic.demand import Demand
from genreplay.envs.sumo.traffic.scenarios import resolve
from genreplay.reporting.export import CARD, MODEL, export, observations
from genreplay.runs.policy import load_policy
from tests.helpers.paths import REPOSITORY
from tests.helpers.saved import save_untrained
from tests.helpers.signals import MAPS

pytest.importorskip("onnxscript", reason="needs genreplay[export]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs genreplay[export]")

SEED, SECONDS = 3, 900
CONFIG = """
env:
  name: sumo
  {map}
  episode_seconds: 900
  action_mode: {mode}
  all_red_time: {all_red}
  sensors: {sensors}
  sensor_failures: {failures}
agent: {{name: {agent}, hidden_width: 32}}
"""


def map_of(name: str) -> str:
    """The lines of a config that name one of the maps in tests/data/signals, with its routes where it has some."""
    routes = MAPS / f"{name}.rou.xml"
    return f"net_file: {MAPS / name}.net.xml" + (f"\n  route_file: {routes}" if routes.is_file() else "")


def config(
    mode: str = "phase_duration",
    all_red: int = 0,
    sensors: str = "full",
    failures: float = 0.0,
    name: str | None = None,
    rule: bool = False,
) -> str:
    where = "scenario: 2way" if name is None else map_of(name)
    agent = f"hybrid_redq_sac, begin_with_rule: {str(rule).lower()}" if mode in WITH_CHOICE else "redq_sac"
    return CONFIG.format(agent=agent, map=where, mode=mode, all_red=all_red, sensors=sensors, failures=failures)


def exported(folder: Path, **options: Any) -> tuple[Path, Path]:
    """Folders of a checkpoint and of what was exported from it."""
    saved = save_untrained(folder / "saved", config(**options))
    export(saved, folder / "exported")
    return saved, folder / "exported"


def test_the_same_actions_on_a_thousand_observations(tmp_path: Path) -> None:
    saved, folder = exported(tmp_path)
    loaded: Any = load_policy(saved)
    inputs = observations(loaded.world.layout, 1000)
    session = onnxruntime.InferenceSession(str(folder / MODEL), providers=["CPUExecutionProvider"])
    (actions,) = session.run(["action"], {"observation": inputs.numpy()})
    expected = loaded.policy.module(inputs).numpy()
    assert actions.shape == (1000, 5)
    assert np.abs(actions - expected).max() < 1e-5
    assert expected.std(axis=0).min() > 0.02, "a policy that always says the same would prove nothing"
    (one,) = session.run(["action"], {"observation": inputs[:1].numpy()})
    assert np.abs(one - expected[:1]).max() < 1e-5
    assert sorted(path.name for path in folder.iterdir()) == [CARD, MODEL], "one portable file and its card"


@pytest.mark.parametrize("sensors", SENSORS)
def test_the_card_describes_every_entry(tmp_path: Path, sensors: str) -> None:
    saved, folder = exported(tmp_path, sensors=sensors)
    card = json.loads((folder / CARD).read_text())
    world: Any = load_policy(saved).world
    names = [c.name for c in world.layout.columns if c.key == "observation" and c.kind == "continuous"]
    assert [entry["name"] for entry in card["inputs"] if entry["quantity"] != "phase"] == names
    assert [entry["high"] for entry in card["inputs"]] == pytest.approx(world.view.high.tolist())
    assert [entry["name"] for entry in card["outputs"]] == ["green", *(f"preference {p}" for p in range(4))]
    assert (card["outputs"][0]["low_value"], card["outputs"][0]["high_value"]) == (5, 45)
    assert [stage["state"] for stage in card["signal"]["stages"]] == [
        stage.state for stage in world.view.timing.plan.stages
    ]
    assert card["checkpoint"]["run_id"] == "abc123"
    assert card["metrics"]["last_evaluation"]["mean"] == 20.5
    assert card["training"]["demand"]["flow_range"] == [1000.0, 2000.0]
    assert card["sensors"] == sensors
    for what in {entry["quantity"] for entry in card["inputs"]} - {"density", "queue", "backlog", "mean_backlog"}:
        told = what.removeprefix("stop_line_").removeprefix("upstream_")
        assert told in card["how_to_read"] or what in ("phase", "since_green", "last_green", "waited_for")


def test_the_card_of_an_actuated_policy(tmp_path: Path) -> None:
    saved, folder = exported(tmp_path, mode="actuated", name="ped")
    card = json.loads((folder / CARD).read_text())
    world: Any = load_policy(saved).world
    assert [entry["name"] for entry in card["outputs"]] == ["longest green", "reach", "stage 0", "stage 1"]
    assert [(entry["low_value"], entry["high_value"]) for entry in card["outputs"][:2]] == [(7, 45), (10, 90)]
    assert [(entry["low"], entry["high"]) for entry in card["outputs"]] == [(-1, 1)] * 2 + [(0, 1)] * 2
    crossings = {section.name for section in world.intersection.sections if section.crossing}
    assert card["signal"]["crossings"].keys() == crossings
    assert (card["signal"]["zone_metres"], card["signal"]["reach_factor"]) == (30, 3)
    zones = [entry for entry in card["inputs"] if entry["quantity"].startswith("within_")]
    assert {entry["of"] for entry in zones} == {group["name"] for group in card["groups"]}
    assert all(word in card["how_to_act"] for word in ("longest green", "reach", "zone_metres", "max_red"))


def test_any_world_has_a_card(tmp_path: Path) -> None:
    saved = save_untrained(tmp_path / "saved", "env: {name: gymnasium, id: Pendulum-v1}\nagent: {hidden_width: 16}\n")
    export(saved, tmp_path / "exported")
    card = json.loads((tmp_path / "exported" / CARD).read_text())
    assert len(card["inputs"]) == 3
    assert card["outputs"][0]["low"] == -1.0


def original_decisions(saved: Path) -> list[list[int]]:
    """Time, then phase and green of every decision of an episode in genreplay."""
    loaded: Any = load_policy(saved)
    env = loaded.world.make_env(1, lambda worker, index: 0, evaluation=True)
    decisions, seconds, over = [], 0.0, False
    try:
        observation = env.start({0: SEED})[0]
        while not over:
            action = loaded.policy.module(torch.from_numpy(observation)[None]).numpy()
            view = loaded.world.view
            signal = view.signal(observation[None].astype(np.float64))
            shown = decode_action(view.timing, signal, action.astype(np.float64))
            pairs = zip(shown.order[0], shown.greens[0], strict=True)
            decisions.append([int(seconds), *(int(part) for pair in pairs for part in pair)])
            step = env.advance({0: action[0]})[0]
            if view.timing.action_mode == "actuated":  # the log has the longest green
                assert step.duration <= shown.duration[0] or step.truncated
            observation, seconds, over = step.observation, seconds + step.duration, step.truncated
            assert not step.failed
    finally:
        env.close()
    return decisions


def drive(saved: Path, folder: Path, scratch: Path, failed: Sequence[str] = ()) -> list[list[int]]:
    """The same, of the example in a live SUMO on the same traffic, where torch and genreplay cannot be imported."""
    loaded: Any = load_policy(saved)
    scenario, env = resolve(loaded.config.env), loaded.config.env
    routes, log = scratch / "demand.rou.xml", scratch / "decisions.csv"
    traffic = Demand(env.demand, scenario, loaded.world.intersection).sample(SEED, True, None)
    ElementTree.ElementTree(traffic.root).write(routes, encoding="unicode")
    program = (
        "import runpy, sys\nfor name in ('torch', 'genreplay', 'sumo_rl', 'libsumo'): sys.modules[name] = None\n"
        "sys.argv = sys.argv[1:]\nsys.path.insert(0, sys.argv[0].rpartition('/')[0])\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    options = ["-n", scenario.net_file, "-r", routes, "--seed", derive_seed(SEED, "sumo"), "--time-to-teleport", -1]
    done = subprocess.run(
        [
            *(sys.executable, "-c", program, str(REPOSITORY / "examples/drive_sumo.py"), str(folder)),
            *(
                "--seconds",
                str(SECONDS),
                "--log",
                str(log),
                *(f"--failed={lane}" for lane in failed),
                "--sumo",
                str(Path(sumo.SUMO_HOME, "bin", "sumo")),
                "--",
            ),
            *(str(option) for option in options),
            *("--no-warnings", "--no-step-log"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "LIBSUMO_AS_TRACI"},
    )
    assert done.returncode == 0, done.stderr
    with log.open() as lines:
        return [[int(float(field)) for field in row] for row in csv.reader(lines)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"all_red": 0}, {"all_red": 2}, {"mode": "duration"}, {"mode": "cycle", "all_red": 1},
        {"sensors": "zones"}, {"sensors": "loops"}, {"sensors": "loops", "mode": "cycle", "failures": 0.4},
        {"name": "nema", "all_red": 2}, {"name": "ped"}, {"name": "tram"},
        {"mode": "stage_duration"}, {"mode": "actuated", "rule": True}, {"mode": "actuated", "name": "ped"},
        {"mode": "actuated", "sensors": "zones"}, {"mode": "actuated", "name": "allred_slip", "all_red": 2},
    ],
    ids=str,
)  # fmt: skip
def test_the_example_drives_a_live_sumo_as_the_original(tmp_path: Path, options: dict[str, Any]) -> None:
    saved, folder = exported(tmp_path, **options)
    intersection = load_policy(saved).world.intersection  # type: ignore[attr-defined]
    lanes = [section.name for section in intersection.sections if section.lanes]
    share = options.get("failures", 0.0)
    failed = [lane for lane, is_failed in zip(lanes, failed_lanes(intersection, share, SEED), strict=True) if is_failed]
    assert (len(failed) > 0) == (share > 0)
    expected = original_decisions(saved)
    assert len({tuple(row[1:]) for row in expected}) > 4, "a policy that always says the same would prove nothing"
    assert drive(saved, folder, tmp_path, failed) == expected


def test_the_example_adds_its_detectors_to_other_additional_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "examples"))
    module = importlib.import_module("sumo_sensors")
    detectors = [{"element": "inductionLoop", "attributes": {"id": "a", "lane": "b_0", "pos": "1.00", "file": "NUL"}}]
    configuration, file = tmp_path / "my.sumocfg", tmp_path / "detectors.add.xml"
    configuration.write_text('<configuration><additional-files value="stops.xml, /zones.xml"/></configuration>')
    for options, rest, others in (
        (["-n", "x"], ["-n", "x"], []),
        (["-a", "one,two", "--seed=7"], ["--seed", "7"], ["one,two"]),
        (["--additional-files=one"], [], ["one"]),
        (["-c", str(configuration)], ["-c", str(configuration)], [str(tmp_path / "stops.xml"), "/zones.xml"]),
    ):
        found = module.with_detectors(options, detectors, tmp_path)
        assert found == [*rest, "--additional-files", ",".join([str(file), *others])]
        assert module.with_detectors(options, [], tmp_path) == options
    (element,) = ElementTree.parse(file).getroot()
    assert (element.tag, element.attrib) == ("inductionLoop", detectors[0]["attributes"])


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved = save_untrained(tmp_path / "saved", config(mode="duration"))
    (tmp_path / "file").write_text("")
    for argv, message in (
        (["--checkpoint", "nowhere"], "--checkpoint nowhere: there is no such folder, and no policy of this name; "),
        (["--checkpoint", str(saved), "agent.gamma=0.5"], "agent.gamma=0.5: has no effect here"),
        (["--checkpoint", str(saved), "--output", "file"], "--output file: cannot be written to"),
        ([], "one of the arguments --run --checkpoint is required"),
    ):
        assert cli.main(["export", *argv]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert message in err


def test_without_the_extra_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxscript" else real(name))
    with pytest.raises(UserError, match=r"not installed \(onnxscript\); run: pip install 'genreplay\[export\]'"):
        export(tmp_path, tmp_path / "exported")
