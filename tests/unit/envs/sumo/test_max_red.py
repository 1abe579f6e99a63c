"""Nobody waits for ever: the bound on red, for arbitrary preferences and arrivals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genreplay.envs.sumo.actions import decode_action, ended_after, first_signal
from genreplay.envs.sumo.signals.timing import Timing
from tests.helpers.signals import map_plan, timing_of_plan

FREE_ORDER = ("actuated", "stage_duration", "phase_duration")
MAPS = {"allred": "C", "nema": "C", "ped": "C", "tram": "C", "staggered": "J"}


def timing_of_map(name: str, mode: str = "phase_duration", **options) -> Timing:
    return Timing(mode, map_plan(name, MAPS[name], **options))


def play(timing: Timing, rng: np.random.Generator, prefer, num_decisions: int = 60):
    """The longest time from an arrival at a group to its green, and the greens shown, as [stage, seconds, called].

    Somebody may arrive at any second at any group of the round, and leaves with green; `prefer` makes the actions. An
    actuated green ends at once, at its longest or in between.
    """
    groups = [(stage, group) for stage, mine in timing.home.items() for group in mine]
    signal, waits, longest, shown = first_signal(timing), {}, 0.0, []
    now = 0.0
    for _ in range(num_decisions):
        is_called = signal.waited.sum() > 0
        decision = decode_action(timing, signal, prefer(signal)[None])
        if timing.action_mode == "actuated":
            decision = ended_after(timing, signal, decision, rng.choice([0.0, 1e3, rng.integers(60)], size=1))
        stage, green = int(decision.order[0, 0]), float(decision.greens[0, 0])
        duration = float(decision.duration[0])
        before = int(signal.phase.argmax())
        changes = duration - green
        for g, (_, group) in enumerate(groups):
            if rng.random() < 0.7 and g not in waits and before not in group:
                waits[g] = now + rng.uniform(0.0, changes)
        for g, (_, group) in enumerate(groups):
            if stage in group and g in waits:
                longest = max(longest, now + changes - waits.pop(g))
            if stage not in group and g not in waits and rng.random() < 0.5:
                waits[g] = now + rng.uniform(0.0, duration)
        now += duration
        called = np.zeros(timing.num_stages)
        for g in waits:
            called[groups[g][0]] = 1.0
        signal = decision.signal._replace(waited=decision.signal.waited * called)
        shown.append((stage, green, is_called))
    return max([longest, *(now - begin for begin in waits.values())]), shown


def stubborn(timing: Timing, stage: int):
    """Always this stage, as long as possible."""
    action = -np.ones(timing.action_width)
    action[[0, stage - timing.num_stages]] = 1.0
    return lambda signal: action


@pytest.mark.parametrize("mode", FREE_ORDER)
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("max_red", [None, 75, 200])
def test_nobody_waits_longer_than_promised(name, max_red, mode):
    """Whoever the policy favours, and whenever people come and greens end."""
    timing = timing_of_map(name, mode, max_red=max_red)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        favourite = stubborn(timing, seed % timing.num_stages)
        prefer = favourite if seed % 2 else lambda signal, rng=rng: rng.uniform(-1, 1, timing.action_width)
        longest, _ = play(timing, rng, prefer)
        assert longest <= timing.max_red


@pytest.mark.parametrize("mode", FREE_ORDER)
def test_the_bound_can_bind(mode):
    """Without it the favourite stage would keep the others waiting: the test above could fail."""
    bound, free = timing_of_map("allred", mode, max_red=75), timing_of_map("allred", mode, max_red=300)
    waits = [play(t, np.random.default_rng(0), stubborn(t, 0))[0] for t in (bound, free)]
    assert waits[0] <= 75 < waits[1]


@settings(max_examples=90, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    mode=st.sampled_from(FREE_ORDER),
    num_stages=st.integers(2, 8),
    least=st.integers(3, 12),
    slack=st.integers(0, 90),
)
def test_any_plan_that_can_keep_the_bound_keeps_it(seed, mode, num_stages, least, slack):
    """With the smallest possible bound the order is forced; with more the policy is free."""
    max_red = num_stages * (least + 4) + slack
    timing = timing_of_plan(mode, num_stages, bounds=(least, 45), max_red=max_red)
    rng = np.random.default_rng(seed)
    longest, shown = play(timing, rng, lambda signal: rng.uniform(-1, 1, timing.action_width), 40)
    assert longest <= max_red
    assert all(green >= least for _, green, _ in shown)


@pytest.mark.parametrize("mode", ["duration", "cycle"])
def test_stages_in_turn_are_never_red_for_longer(mode):
    timing = timing_of_map("allred", mode, max_red=80)
    signal, reds = first_signal(timing), np.zeros(4)
    rng = np.random.default_rng(0)
    for _ in range(60):
        action = rng.uniform(-1, 1, timing.action_width) if rng.random() < 0.5 else np.ones(timing.action_width)
        decision = decode_action(timing, signal, action[None])
        current = int(signal.phase.argmax())
        for stage, green in zip(decision.order[0].astype(int), decision.greens[0], strict=True):
            reds += timing.intergreen[current, stage]
            assert reds[stage] <= 80
            reds[stage] = -green
            reds += green
            current = stage
        signal = decision.signal


def test_a_green_goes_on_beyond_its_longest_only_while_nobody_waits():
    timing = timing_of_plan(num_stages=3)
    state = first_signal(timing)._replace(last_green=np.array([[45.0, 5.0, 5.0]]))
    stay = stubborn(timing, 0)(state)[None]
    assert decode_action(timing, state, stay).order.tolist() == [[0]]
    waiting = state._replace(waited=np.array([[0.0, 3.0, 0.0]]))
    assert decode_action(timing, waiting, stay).order.tolist() == [[1]]
