"""Every pair of stages changes safely, whatever the programme: second by second, over random programmes and maps."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genreplay.envs.sumo.signals.plan import GREEN, PROTECTED
from genreplay.envs.sumo.signals.programme import MapProgramme, Phase, read_signal
from genreplay.envs.sumo.signals.reading import read_stages
from genreplay.envs.sumo.signals.transitions import Rules, make_transitions, read_timings
from tests.helpers.signals import MAPS, map_plan

LIGHTS = {path.name.split(".")[0]: path for path in sorted(MAPS.glob("*.net.xml"))}


def seconds_of(steps):
    return [step.state for step in steps for _ in range(step.seconds)]


def check_change(before, states, after, conflicts, crossings, yellow, clearance):
    """No two conflicting links green with right of way; every green that ends has its yellow; every conflicting green
    begins only after the clearance that the programme showed (`clearance[a, b]`, from the end of green).
    """
    shown = [before, *states, after]
    for state in shown[1:-1]:
        protected = [i for i, c in enumerate(state) if c in PROTECTED]
        allowed = {
            (a, b) for s in (before, after) for a in range(len(s)) for b in range(len(s)) if {s[a], s[b]} == {"G"}
        }
        assert all(not conflicts[a, b] or (a, b) in allowed for a in protected for b in protected)
    for a in range(len(before)):
        column = [state[a] for state in shown]
        for now, following in pairwise(column):
            if now in GREEN and following not in GREEN and a not in crossings:
                assert following == "y"
        ends = next((t for t, c in enumerate(column) if c not in GREEN), None)
        if ends is None or column[0] not in GREEN:
            continue
        if a not in crossings:
            assert sum(c == "y" for c in column) >= yellow
        for b in range(len(before)):
            begins = [t for t in range(1, len(shown)) if shown[t][b] in GREEN and shown[t - 1][b] not in GREEN]
            if conflicts[a, b] and begins and begins[0] >= ends:
                assert begins[0] - ends >= clearance.get((a, b), 0)


def random_programme(rng, num_links, num_stages, num_crossings):
    """A cycle of stages without conflicts, with yellow, red and pedestrian clearance of random length."""
    conflicts = np.triu(rng.random((num_links, num_links)) < 0.5, 1)
    conflicts = conflicts | conflicts.T
    crossings = {i: float(rng.uniform(5, 20)) for i in range(num_crossings)}
    sets: list[set[int]] = []
    while len(sets) < num_stages:
        chosen: set[int] = set()
        for link in rng.permutation(num_links):
            if not any(conflicts[link, other] for other in chosen):
                chosen.add(int(link))
        if all(chosen != other for other in sets):
            sets.append(chosen)
        elif rng.random() < 0.05:
            break
    phases, yellow, red, clear = [], *(int(rng.integers(*r)) for r in ((2, 5), (0, 4), (0, 9)))
    for now, following in zip(sets, [*sets[1:], sets[0]], strict=True):
        ending, walking = now - following, (now - following) & set(crossings)

        def state(green, yellows=frozenset(), is_amber=False, starting=following - now):
            return "".join(
                "G" if i in green else "y" if i in yellows else "u" if is_amber and i in starting else "r"
                for i in range(num_links)
            )

        phases.append(Phase(state(now), 20.0))
        if walking and clear:
            phases.append(Phase(state(now - walking), float(clear)))
        vehicles = ending - walking
        if vehicles or (walking and clear):
            phases.append(Phase(state(now - ending, vehicles), float(yellow)))
        if red and ending:
            phases.append(Phase(state(now & following), float(red)))
    return MapProgramme("t", "0", "static", tuple(phases), {}), conflicts, crossings, (yellow, red, clear)


@settings(max_examples=150, deadline=None)
@example(seed=26940, num_links=6, num_stages=4, crossings=3)
@given(
    seed=st.integers(0, 2**31), num_links=st.integers(4, 10), num_stages=st.integers(2, 5), crossings=st.integers(0, 3)
)
def test_changes_of_random_programmes(seed, num_links, num_stages, crossings):
    rng = np.random.default_rng(seed)
    programme, conflicts, lengths, (yellow, red, _) = random_programme(rng, num_links, num_stages, crossings)
    read = read_stages(programme, frozenset(lengths))
    if len(read.states) < 2:
        return
    timings = read_timings(read.states, read.changes, read.last_steps, conflicts)
    rules = Rules(read.states, conflicts, lengths, frozenset(), timings)
    transitions = make_transitions(rules, read.changes)
    shown = {(a, b): s for (a, b), s in timings.red.items()}
    for start, before in enumerate(read.states):
        for end, after in enumerate(read.states):
            if start == end:
                assert transitions[start][end] == ()
                continue
            gone = {i for i in range(num_links) if before[i] in GREEN and after[i] not in GREEN}
            least = {
                (a, b): shown.get((a, b), 0) + (0 if a in lengths else yellow) for a in gone for b in range(num_links)
            }
            if any((change.start, change.end) == (start, end) for change in read.changes):
                least = {}  # the programme's own change is kept, even if another one shows a longer clearance
            states = seconds_of(transitions[start][end])
            check_change(before, states, after, conflicts, lengths, yellow, least)
            if red and any(
                conflicts[a, b]
                for a in gone - set(lengths)
                for b in range(num_links)
                if after[b] in GREEN and before[b] not in GREEN
            ):
                assert len(states) >= yellow + red


@pytest.mark.parametrize("name", LIGHTS)
def test_changes_of_the_maps(name):
    """Longest yellow and red that the programme shows hold in all changes, those it never shows included."""
    light = {"flashphase": "mid", "redyellow": "mid", "staggered": "J"}.get(name, "C")
    plan = map_plan(name, light)
    signal = read_signal(LIGHTS[name], light)
    crossings = {link.number for link in signal.links if link.is_crossing}
    for start, stage in enumerate(plan.stages):
        for end, following in enumerate(plan.stages):
            if start != end:
                states = seconds_of(plan.transitions[start][end])
                check_change(stage.state, states, following.state, signal.conflicts, crossings, plan.yellow_time, {})
                assert (
                    plan.always_green <= {i for i in range(len(stage.state)) if all(s[i] in GREEN for s in states)}
                    or not states
                )


def test_pedestrian_clearance_by_rule():
    """No programme shows a crossing's clearance before the cars it conflicts with: its length at 1.07 m/s."""
    conflicts = np.array([[False, True], [True, False]])
    rules = Rules(["Gr", "rG"], conflicts, {0: 10.7}, frozenset(), read_timings(["Gr", "rG"], [], {}, conflicts))
    transitions = make_transitions(rules, [])
    assert [tuple(step) for step in transitions[0][1]] == [("rr", math.ceil(10.7 / 1.07))]
    assert [tuple(step) for step in transitions[1][0]] == [("ry", 3)]
