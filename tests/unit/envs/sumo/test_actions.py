import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genreplay.envs.sumo.actions import SINCE_GREEN_LIMIT, Signal, decode_action
from tests.helpers.signals import timing_of_plan


def signal(phase, since, last, waited=None):
    one_hot = np.eye(len(since))[[phase]]
    waited = np.zeros((1, len(since))) if waited is None else np.array([waited], dtype=np.float64)
    return Signal(one_hot, np.array([since], dtype=np.float64), np.array([last], dtype=np.float64), waited)


def timing(mode, num_stages=3, **changes):
    return timing_of_plan(mode, num_stages, **changes)


def test_phase_duration_switches_to_the_preferred_phase():
    decision = decode_action(
        timing("phase_duration"), signal(0, [0, 40, 20], [10, 7, 9]), np.array([[0.0, -0.5, 0.1, 0.9]])
    )
    assert decision.order.tolist() == [[2]]
    assert decision.greens.tolist() == [[25]]
    assert decision.duration.tolist() == [29]
    assert decision.signal.phase.tolist() == [[0, 0, 1]]
    assert decision.signal.since_green.tolist() == [[29, 69, 0]]
    assert decision.signal.last_green.tolist() == [[10, 7, 25]]


def test_a_continued_green_has_no_yellow_and_stays_below_the_maximum():
    decision = decode_action(
        timing("phase_duration"), signal(1, [9, 0, 20], [10, 30, 9], [9, 0, 0]), np.array([[1.0, 0.0, 1.0, 0.0]])
    )
    assert decision.order.tolist() == [[1]]
    assert decision.greens.tolist() == [[15]]
    assert decision.duration.tolist() == [15]
    assert decision.signal.last_green.tolist() == [[10, 45, 9]]


def test_an_exhausted_green_is_not_continued():
    decision = decode_action(
        timing("phase_duration"), signal(1, [9, 0, 20], [10, 41, 9], [0, 0, 20]), np.array([[-1.0, -0.9, 1.0, 0.2]])
    )
    assert decision.order.tolist() == [[2]]
    assert decision.greens.tolist() == [[5]]


def test_equal_preferences_take_the_lowest_phase_in_numpy_and_torch():
    state, action = signal(2, [9, 8, 0], [10, 10, 9]), np.ones((1, 4))
    assert decode_action(timing("phase_duration"), state, action).order.tolist() == [[0]]
    in_torch = decode_action(timing("phase_duration"), Signal(*map(torch.from_numpy, state)), torch.from_numpy(action))
    assert in_torch.order.tolist() == [[0]]


def test_duration_goes_round_in_order():
    decision = decode_action(timing("duration"), signal(2, [9, 30, 0], [10, 10, 9]), np.array([[-1.0]]))
    assert decision.order.tolist() == [[0]]
    assert decision.duration.tolist() == [9]


def test_cycle_shows_every_phase_once_beginning_after_the_current_one():
    decision = decode_action(timing("cycle"), signal(1, [9, 0, 30], [10, 10, 9]), np.array([[-1.0, 0.0, 1.0]]))
    assert decision.order.tolist() == [[2, 0, 1]]
    assert decision.greens.tolist() == [[45, 5, 25]]
    assert decision.duration.tolist() == [45 + 5 + 25 + 3 * 4]
    assert decision.signal.phase.tolist() == [[0, 1, 0]]
    assert decision.signal.since_green.tolist() == [[29, 0, 38]]
    assert decision.signal.last_green.tolist() == [[5, 25, 45]]


def test_a_chosen_stage_is_shown_wherever_its_entries_are():
    """The last entries are the stages, whatever numbers come before them; equal ones give the lowest stage."""
    state = signal(0, [0, 40, 20], [10, 7, 9])
    for mode, numbers in (("stage_duration", [0.0]), ("actuated", [0.0, 1.0])):
        decision = decode_action(timing(mode), state, np.array([[*numbers, 0.0, 1.0, 0.0]]))
        assert (decision.order.tolist(), decision.greens.tolist()) == ([[1]], [[25]])
        assert decode_action(timing(mode), state, np.array([[*numbers, 1.0, 1.0, 1.0]])).order.tolist() == [[0]]


@pytest.mark.parametrize("mode", ["actuated", "stage_duration", "phase_duration", "duration", "cycle"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), num_stages=st.integers(2, 8))
def test_greens_stay_in_bounds_and_torch_agrees_with_numpy(mode, seed, num_stages):
    bounds = timing(mode, num_stages)
    rng = np.random.default_rng(seed)
    state = signal(0, [0.0] + [float(SINCE_GREEN_LIMIT)] * (num_stages - 1), [0.0] * num_stages)
    for _ in range(20):
        # Half of the actions on a coarse grid, where ties and half seconds are common.
        action = rng.uniform(-1.2, 1.2, size=(1, bounds.action_width))
        if rng.random() < 0.5:
            action = np.round(action * 4) / 4
        decision = decode_action(bounds, state, action)
        in_torch = decode_action(bounds, Signal(*map(torch.from_numpy, state)), torch.from_numpy(action))
        for ours, theirs in zip([*decision[:3], *decision.signal], [*in_torch[:3], *in_torch.signal], strict=True):
            np.testing.assert_array_equal(ours, theirs.numpy())
        assert (decision.greens >= 5).all()
        shown = decision.signal.phase.argmax()
        assert 5 <= decision.signal.last_green[0, shown] <= 45
        assert decision.signal.since_green[0, shown] == 0
        state = decision.signal
