import numpy as np
import pytest

from genreplay.envs.sumo.baselines.webster import (
    LONGEST_CYCLE,
    cycle_length,
    effective_greens,
    flow_ratios,
    webster_greens,
)
from tests.helpers.junctions import junction
from tests.helpers.signals import timing_of_plan


def test_a_textbook_example():
    """Khanna and Justo, "Highway Engineering": roads A and B with 400 and 250 pcu/h, saturation flows 1250 and 1000
    pcu/h, lost time 2 * 2 + 12 s of all-red. The book: cycle 67.5 s, greens 29 and 22.5 s.
    """
    ratios = [400 / 1250, 250 / 1000]
    cycle = cycle_length(ratios, lost_time=16.0)
    assert cycle == pytest.approx(67.5, abs=0.1)
    assert effective_greens(ratios, 16.0, cycle) == pytest.approx([29.0, 22.5], abs=0.2)


def test_a_saturated_junction_gets_the_longest_cycle():
    assert cycle_length([0.6, 0.39], 10.0) == LONGEST_CYCLE  # 2000 s by the formula
    assert cycle_length([0.6, 0.6], 10.0) == LONGEST_CYCLE  # where it has no answer


def flows_of(intersection, **by_turn):
    return np.array([by_turn.get(f"{m.turn}_{m.approach}", 0.0) for m in intersection.movements])


def test_flow_ratios_are_of_the_busiest_lane():
    """2way: straight and right share a lane, left has its own; phases are ns, ns left, we, we left."""
    here = junction()
    north = next(m.approach for m in here.movements if m.from_edge == "n_t")
    south = next(m.approach for m in here.movements if m.from_edge == "s_t")
    east = next(m.approach for m in here.movements if m.from_edge == "e_t")
    flows = flows_of(
        here,
        **{f"straight_{north}": 500, f"right_{north}": 40, f"straight_{south}": 300, f"left_{south}": 180},
        **{f"straight_{east}": 90},
    )
    assert flow_ratios(here, flows) == pytest.approx([540 / 1800, 180 / 1800, 90 / 1800, 0.0])


def test_left_turns_count_where_they_have_right_of_way():
    """cologne1: left turns give way (`g`) in the straight phase and go first (`G`) in one of their own."""
    here = junction("cologne1")
    left = next(i for i, m in enumerate(here.movements) if m.turn == "left")
    flows = np.zeros(len(here.movements))
    flows[left] = 360.0
    ratios = flow_ratios(here, flows)
    serving = [p for p, ratio in enumerate(ratios) if ratio > 0]
    assert len(serving) == 1
    assert ratios[serving[0]] == pytest.approx(0.2)
    index = next(link.index for link in here.links if link.movement == left)
    assert here.plan.stages[serving[0]].state[index] == "G"


TIMING = timing_of_plan(num_stages=4, yellow=2, all_red=0)


def test_greens_are_whole_and_not_too_short():
    here = junction()
    greens = webster_greens(here, np.full(len(here.movements), 100.0), TIMING)
    # Two lanes with 200 vehicles/h, two with 100: Y = 1/3, C = 17 / (2/3) = 25.5, 17.5 s of green 2 : 1 : 2 : 1.
    assert greens == [6, 5, 6, 5]
    assert webster_greens(here, np.zeros(len(here.movements)), TIMING) == [5, 5, 5, 5]
