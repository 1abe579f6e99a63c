"""Programmes of constant greens, one after another."""

from itertools import accumulate
from types import SimpleNamespace

from genreplay.envs.sumo.baselines.programmes import by_time, constant
from tests.helpers.signals import plan_of

HERE = SimpleNamespace(plan=plan_of(2, yellow=3, all_red=1))
"""Intergreens of 4 s."""


def test_a_plan_changes_at_the_end_of_the_cycle_in_which_its_interval_ends():
    """Cycles of 30 s until 100 s are over, which is at 120 s after the beginning; then cycles of 50 s."""
    found = by_time(HERE, 25_200, [(25_300, (12, 10)), (25_500, (22, 20))])
    assert found.offset == 25_200
    assert found.to_xml("t").find("tlLogic").get("offset") == "25200"
    greens = [phase.seconds for phase in found.phases if "G" in phase.state]
    assert greens[:8] == [12, 10] * 4
    assert set(zip(greens[8::2], greens[9::2], strict=True)) == {(22, 20)}
    ends = list(accumulate(phase.seconds for phase in found.phases))
    assert ends[4 * 6 - 1] == 120
    assert ends[-1] >= 300 + 7200


def test_a_stage_without_green_is_left_out_with_its_transitions():
    plan = plan_of(3, yellow=3, all_red=1)
    found = constant(SimpleNamespace(plan=plan), (20, 0, 10))
    assert [(phase.state, phase.seconds) for phase in found.phases] == [
        ("Grr", 20),
        ("yrr", 3),
        ("rrr", 1),
        ("rrG", 10),
        ("rry", 3),
        ("rrr", 1),
    ]
