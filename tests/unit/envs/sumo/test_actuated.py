"""Actuated greens by hand: when they end, what their duration means, and the queue rule."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genreplay.envs.sumo.actions import Signal, decode_action, show
from genreplay.envs.sumo.actuated import (
    RULE_METRES,
    RULE_NUMBERS,
    ended_after,
    goes_on,
    queue_action,
    queue_preference,
    reach_metres,
)
from genreplay.envs.sumo.columns import build_layout
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.sensors.table import KINDS
from genreplay.envs.sumo.signals.timing import timing_of
from tests.helpers.signals import MAPS, map_plan, plan_of, timing_of_plan


def view_of(kind: str, name: str, mode: str = "actuated", **options: int) -> View:
    config = SumoConfig(net_file=str(MAPS / f"{name}.net.xml"), action_mode=mode, **options)
    intersection = read_intersection(MAPS / f"{name}.net.xml", config)
    timing = timing_of(config, intersection.plan)
    return View(intersection, timing, KINDS[kind](intersection, timing))


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


# The queue rule --------------------------------------------------------------------------------------------------


def filled(view: View, rng: np.random.Generator) -> tuple[np.ndarray, dict[tuple[str, str], int]]:
    """An observation of random numbers of vehicles and people, and these numbers."""
    signal = Signal(*(np.eye(view.timing.num_stages)[:1] * 0.0 for _ in range(4)))
    signal = signal._replace(phase=np.eye(view.timing.num_stages)[[rng.integers(view.timing.num_stages)]])
    values = [rng.integers(0, 4, size=len(part.places)).astype(float) for part in view.sensors.parts]
    values = [np.minimum(v, part.limits) for v, part in zip(values, view.sensors.parts, strict=True)]
    counts = {
        (part.quantity, place): value
        for part, row in zip(view.sensors.parts, values, strict=True)
        for place, value in zip(part.places, row, strict=True)
    }
    return view.observe(values, signal), counts


def counted(view: View, name: str, counts: dict[tuple[str, str], int]) -> list[float]:
    """Vehicles in the last 50 m (of `zones`: in the zones of the lanes) and people that each stage serves."""
    net = MAPS / f"{name}.net.xml"
    intersection = read_intersection(net, SumoConfig(net_file=str(net)))
    found = []
    for stage in intersection.plan.stages:
        total = 0.0
        for (quantity, place), value in counts.items():
            if quantity in ("within_20", "within_50"):
                links = [int(link) for link in place.split()[1:]]
            elif quantity in ("zone_count", "button", "density"):
                i = next(i for i, section in enumerate(intersection.sections) if section.name == place)
                if quantity == "density" and intersection.sections[i].crossing is None:
                    continue
                links = list(intersection.section_links[i])
            else:
                continue
            total += value * any(stage.state[link] in "GgoOs" for link in links)
        found.append(total)
    return found


@pytest.mark.parametrize("name", ["ped", "allred_slip", "nema", "tram", "staggered"])
@pytest.mark.parametrize("kind", ["full", "zones"])
def test_the_queue_rule_counts_whom_each_stage_serves(kind, name):
    view = view_of(kind, name)
    weights = queue_preference(view)
    assert weights.shape == (view.width, view.timing.num_stages)
    assert weights.dtype == np.float32
    rng, chosen = np.random.default_rng(0), set()
    for _ in range(20):
        observation, counts = filled(view, rng)
        expected = counted(view, name, counts)
        ties = 1e-3 * np.arange(view.timing.num_stages)
        np.testing.assert_allclose(observation @ weights, expected - ties, atol=1e-4)
        action = queue_action(weights, observation)
        assert action[:2].tolist() == list(RULE_NUMBERS["actuated"])
        assert action[2:].tolist() == np.eye(view.timing.num_stages)[int(np.argmax(expected))].tolist()
        chosen.add(int(np.argmax(expected)))
    assert len(chosen) > 1
    assert RULE_METRES == 50.0


def test_people_count_like_vehicles():
    view = view_of("full", "ped")
    weights, crossing = queue_preference(view), int(view.is_crossing.argmax())
    observation = np.zeros(view.width, dtype=np.float32)
    observation[view.slices["density"].start + crossing] = 3 / view.capacity[crossing]
    links = view.served_sections(view.callers)[:, crossing]
    np.testing.assert_allclose(observation @ weights, 3 * links, atol=1e-6)
    assert sorted(links) == [0, 1]


def test_loops_do_not_show_queues():
    assert queue_preference(view_of("loops", "ped")) is None
    assert build_layout(view_of("loops", "ped")).rule is None


@pytest.mark.parametrize(("mode", "numbers"), [("actuated", 2), ("stage_duration", 1)])
def test_learning_can_begin_with_the_rule(mode, numbers):
    layout = build_layout(view_of("full", "ped", mode))
    assert layout.rule.numbers.tolist() == pytest.approx(list(RULE_NUMBERS[mode]))
    assert (layout.choice.name, layout.choice.start, layout.choice.width) == ("stage", numbers, 2)
    assert build_layout(view_of("full", "ped", "phase_duration")).rule is None


@pytest.mark.parametrize("mode", list(RULE_NUMBERS))
def test_the_rules_green_is_never_half_a_second(mode):
    """Where it were, the last digit of a float32 would decide, and exported policies would differ by a second."""
    for spread in range(1, 121):
        seconds = (RULE_NUMBERS[mode][0] + 1.0) / 2.0 * spread + 0.5
        assert abs(seconds - round(seconds)) > 1e-4


def test_the_rules_committed_green_is_short():
    """It cannot end when the last vehicle is through."""
    timing = view_of("full", "ped", "stage_duration", min_green=5, max_green=45).timing
    signal = Signal(*(np.array([[float(name == "phase"), 0.0]]) for name in Signal._fields))
    action = np.array([[*RULE_NUMBERS["stage_duration"], 0.0, 1.0]])
    least, most = timing.min_greens[1], timing.max_greens[1]
    assert decode_action(timing, signal, action).greens.item() == np.floor(least + 0.12 * (most - least) + 0.5) < 15
