"""Actuated greens by hand: when they end, and what their duration means."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genreplay.envs.sumo.actions import Signal, decode_action, ended_after, show
from genreplay.envs.sumo.actuated import goes_on, reach_metres
from tests.helpers.signals import map_plan, plan_of, timing_of_plan

# When a green ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coming", "walkers", "reach", "expected"),
    [
        ([], [], 30, True),  # nobody calls another stage
        ([(0, 30.0)], [], 30, True),
        ([(0, 30.0), (1, 5.0)], [2], 30, True),  # used, whoever waits
        ([(0, 30.1)], [], 30, True),
        ([(0, 30.1), (1, 30.0)], [], 30, False),  # a gap
        ([(0, 30.1), (1, 30.1)], [], 30, True),  # too far away to call
        ([(1, 60.0)], [], 90, True),  # a long reach prolongs, but does not call
        ([(0, 80.0), (1, 5.0)], [], 90, True),
        ([(0, 20.0), (1, 20.0)], [], 10, False),
        ([(0, 20.0)], [], 10, True),
        ([], [0], 30, True),  # they walk already
        ([], [2], 30, False),
        ([(0, 20.0)], [2], 10, False),
    ],
)
def test_a_green_goes_on_while_it_is_used_or_nobody_else_calls(coming, walkers, reach, expected):
    """Link i is green in stage i alone, and stage 0 is shown."""
    assert goes_on(plan_of(3), 0, coming, walkers, reach) is expected


def test_a_link_that_is_always_green_neither_prolongs_nor_calls():
    """Link 0 of the map is a slip lane, and link 1 goes straight on from the same lane."""
    plan = map_plan("allred_slip")
    (slip,) = plan.always_green
    stage = next(iter(plan.serving(1)))
    other = next(link for link in range(plan.served.shape[1]) if link != slip and not plan.served[stage, link])
    assert goes_on(plan, stage, [(slip, 5.0)], [], 30.0)
    assert not goes_on(plan, stage, [(slip, 5.0), (other, 5.0)], [], 30.0)
    assert goes_on(plan, stage, [(1, 5.0), (other, 5.0)], [], 30.0)


def test_a_link_that_no_stage_serves_does_not_call():
    plan = plan_of(3)
    never = replace(plan, stages=tuple(replace(stage, state=f"{stage.state}r") for stage in plan.stages))
    assert goes_on(never, 0, [(3, 5.0)], [3], 30.0)


def test_reach_in_metres():
    entries = np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 1.7])
    actions = np.column_stack([np.zeros(6), entries, np.zeros((6, 2))])
    assert reach_metres(actions) == pytest.approx([10.0, 30 / 3**0.5, 30.0, 30 * 3**0.5, 90.0, 90.0])


# What a duration means -------------------------------------------------------------------------------------------


def test_the_duration_says_how_long_the_green_lasted():
    """From stage 0 to 2: 4 s of change, then at least 5 s of green and at most 25 s."""
    timing = timing_of_plan("actuated")
    state = Signal(*(np.array([row]) for row in ([1.0, 0, 0], [0.0, 40, 20], [10.0, 7, 9], [0.0, 0, 0])))
    action = np.array([[0.0, 0.3, 0.0, 0.0, 1.0]])
    longest = decode_action(timing, state, action)
    assert (longest.order.tolist(), longest.greens.tolist(), longest.duration.tolist()) == ([[2]], [[25]], [29])
    for duration, green in ((0, 5), (4, 5), (9, 5), (10, 6), (28, 24), (29, 25), (90, 25)):
        decision = ended_after(timing, state, longest, np.array([float(duration)]))
        assert decision.greens.tolist() == [[green]]
        assert decision.duration.tolist() == [4 + green]
        assert decision.signal.since_green.tolist() == [[4 + green, 44 + green, 0]]
        assert decision.signal.last_green.tolist() == [[10, 7, green]]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), num_stages=st.integers(2, 8))
def test_however_a_green_ends_it_keeps_its_bounds_and_torch_agrees(seed, num_stages):
    timing = timing_of_plan("actuated", num_stages)
    rng = np.random.default_rng(seed)
    state = Signal(*(np.zeros((1, num_stages)) for _ in range(4)))._replace(phase=np.eye(num_stages)[:1])
    for _ in range(20):
        action = rng.uniform(-1.2, 1.2, size=(1, timing.action_width))
        longest = decode_action(timing, state, action)
        duration = rng.choice([0.0, 1e4, float(rng.integers(0, 60))], size=1)
        decision = ended_after(timing, state, longest, duration)
        in_torch = Signal(*map(torch.from_numpy, state))
        theirs = ended_after(
            timing, in_torch, decode_action(timing, in_torch, torch.from_numpy(action)), torch.from_numpy(duration)
        )
        for a, b in zip([*decision[:3], *decision.signal], [*theirs[:3], *theirs.signal], strict=True):
            np.testing.assert_array_equal(a, b.numpy())
        assert decision.order == longest.order
        assert 5 <= decision.greens[0, 0] <= longest.greens[0, 0]
        asked = duration[0] - (longest.duration - longest.greens[:, 0])[0]
        if 5 <= asked <= longest.greens[0, 0]:
            assert decision.greens[0, 0] == asked
        expected = show(timing, state, decision.order[:, 0], decision.greens[:, 0])
        np.testing.assert_array_equal(decision.signal.last_green, expected.signal.last_green)
        state = decision.signal._replace(waited=decision.signal.waited * rng.integers(0, 2, size=(1, num_stages)))
