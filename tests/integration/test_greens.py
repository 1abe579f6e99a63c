"""The greens that an evaluation reports, compared with the light in every second of the same simulation."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from genreplay.envs.facets import BaselineRun
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.simulator.episode import EpisodeRequest
from genreplay.envs.sumo.world import SumoWorld
from tests.helpers.simulators import recording_simulator

SECONDS = 240


def counted(states: list[str], shown: str) -> list[int]:
    """Lengths of the runs of one state, second by second."""
    lengths, before = [], ""
    for state in states:
        if state == shown:
            lengths = [*lengths[:-1], lengths[-1] + 1] if before == shown else [*lengths, 1]
        before = state
    return lengths


def test_a_green_goes_on_over_the_decisions_that_prolong_it(tmp_path: Path) -> None:
    """Stages 1, 1, 2, 2, 2, 0 and 3 with shortest greens of 5 s and yellows of 2 s, until the 60 s are over."""
    config = SumoConfig(episode_seconds=60, min_green=5, max_green=40)
    simulator = recording_simulator()(config, tmp_path)
    simulator.start(EpisodeRequest(3, True, "1000"))
    for stage in (1, 1, 2, 2, 2, 0, 3, 3, 3, 3, 3):
        preference = np.eye(4)[stage] * 2 - 1
        outcome = simulator.decide(np.array([-1.0, *preference]))
    assert outcome.truncated
    assert len(simulator.states) == 60
    assert simulator.greens() == [[5], [10], [15], [60 - (2 + 10 + 2 + 15 + 2 + 5 + 2)]]


@pytest.mark.parametrize(
    "name", ["fixed_plan", "webster", "actuated", "fully_actuated", "actuated_queue", "max_pressure", "random"]
)
def test_greens_of_every_kind_of_baseline_are_those_of_the_light(tmp_path: Path, name: str) -> None:
    simulator = recording_simulator()(SumoConfig(episode_seconds=SECONDS, warmup_seconds=60), tmp_path)
    figures = simulator.baseline(EpisodeRequest(3, True, "1500"), name, {})
    states = simulator.states[60:]
    assert len(states) == SECONDS - 60
    greens = simulator.greens()
    assert greens == [counted(states, stage.state) for stage in simulator.intersection.plan.stages]
    assert sum(len(lengths) for lengths in greens) > 3
    shares = [sum(lengths) / len(states) for lengths in greens]
    assert shares == pytest.approx([figures[f"green_share_{number}"] for number in range(4)])


def test_they_come_from_the_worker_and_a_brief_episode_has_none() -> None:
    world = SumoWorld(SumoConfig(episode_seconds=120))
    with closing(world.make_env(1, lambda worker, index: 0, evaluation=True)) as env:
        env.play_baseline(BaselineRun("fixed_plan"), {0: 3})
        (lengths, *_) = env.greens(0)
        assert set(lengths[:-1]) == {world.intersection.plan.stages[0].green_seconds}
        env.play_baseline(BaselineRun("fixed_plan", brief=True), {0: 3})
        assert env.greens(0) == []
