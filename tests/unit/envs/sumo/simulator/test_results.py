"""Greens from the states of a light, by hand; the rest of the results in tests/integration/test_measures.py."""

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.simulator.results import greens
from genreplay.envs.sumo.world import SumoWorld


def test_greens_end_with_any_other_state() -> None:
    plan = SumoWorld(SumoConfig()).intersection.plan
    first, second, *_ = (stage.state for stage in plan.stages)
    yellow = plan.transitions[0][1][0].state
    states = [first] * 7 + [yellow] * 2 + [second] * 5 + [first] * 3 + [yellow] * 2 + [first]
    assert greens(states, plan) == [[7, 3, 1], [5], [], []]
    assert greens([], plan) == [[], [], [], []]
