"""The queue rule: its weights count whom each stage serves."""

import numpy as np
import pytest

from genreplay.envs.sumo.actions import Signal, decode_action, first_signal
from genreplay.envs.sumo.baselines import queue_rule
from genreplay.envs.sumo.baselines.queue_rule import ActuatedQueue
from genreplay.envs.sumo.columns import build_layout
from genreplay.envs.sumo.network.groups import groups_of
from genreplay.envs.sumo.observation import View
from tests.helpers.crossroads import map_ways
from tests.helpers.views import view_of


def values_of(view, **seen):
    """What the sensors read: `seen` by part and place, else nothing."""
    return [np.array([float(seen.get(part.quantity, {}).get(place, 0)) for place in part.places])
            for part in view.sensors.parts]  # fmt: skip


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
    intersection = map_ways(name)[0]
    found = []
    for stage in intersection.plan.stages:
        total = 0.0
        for (quantity, place), value in counts.items():
            if quantity in ("within_20", "within_50"):
                links = next(group.links for group in groups_of(intersection) if group.name == place)
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
    weights = queue_rule.preference(view)
    assert weights.shape == (view.width, view.timing.num_stages)
    assert weights.dtype == np.float32
    rng, chosen = np.random.default_rng(0), set()
    for _ in range(20):
        observation, counts = filled(view, rng)
        expected = counted(view, name, counts)
        ties = 1e-3 * np.arange(view.timing.num_stages)
        np.testing.assert_allclose(observation @ weights, expected - ties, atol=1e-4)
        chosen.add(int(np.argmax(expected)))
    assert len(chosen) > 1


def test_people_count_like_vehicles():
    view = view_of("full", "ped", action_mode="actuated")
    weights = queue_rule.preference(view)
    crossing = next(i for i, section in enumerate(view.intersection.sections) if section.crossing is not None)
    observation = np.zeros(view.width, dtype=np.float32)
    observation[view.slices["density"].start + crossing] = 3 / view.capacity[crossing]
    served = view.intersection.plan.served[:, list(view.intersection.section_links[crossing])].any(axis=1)
    np.testing.assert_allclose(observation @ weights, 3 * served, atol=1e-6)
    assert sorted(served) == [0, 1]


def test_sensors_that_show_no_queue_have_no_rule():
    assert queue_rule.preference(view_of("loops", action_mode="actuated")) is None
    assert build_layout(view_of("loops", action_mode="actuated")).rule is None
    assert build_layout(view_of("full", action_mode="phase_duration")).rule is None


@pytest.mark.parametrize(("mode", "num_numbers"), [("actuated", 2), ("stage_duration", 1)])
@pytest.mark.parametrize(("kind", "name"), [("full", "allred"), ("zones", "allred"), ("zones", "ped")])
def test_a_layout_has_the_rule_where_an_action_has_a_choice(mode, num_numbers, kind, name):
    view = view_of(kind, name, action_mode=mode)
    layout = build_layout(view)
    assert layout.choice.start == num_numbers
    assert layout.choice.width == view.timing.num_stages
    np.testing.assert_array_equal(layout.rule.preference.numpy(), queue_rule.preference(view))
    assert layout.rule.numbers.tolist() == pytest.approx(queue_rule.NUMBERS[mode])


@pytest.mark.parametrize("mode", ["actuated", "duration"])
def test_the_controller_acts_in_actuated_greens_whatever_the_mode(mode):
    view = view_of("full", "allred", action_mode=mode)
    rule = ActuatedQueue(view.intersection, view.timing)
    place = groups_of(view.intersection)[-1]
    action = rule(values_of(view, within_50={place.name: 4}), first_signal(view.timing))
    assert rule.timing.action_mode == "actuated"
    assert action[:2].tolist() == list(queue_rule.NUMBERS["actuated"])
    stage = int(view.intersection.plan.served[:, place.links[0]].argmax())
    assert action[2:].tolist() == np.eye(view.timing.num_stages)[stage].tolist()


@pytest.mark.parametrize("mode", queue_rule.NUMBERS)
def test_a_green_is_never_a_half_second(mode):
    """Else an agent in float32 and the rule in float64 could round it apart."""
    seconds = [(queue_rule.NUMBERS[mode][0] + 1) / 2 * difference + 0.5 for difference in range(100)]
    assert min(abs(value - round(value)) for value in seconds) > 1e-3


def test_a_committed_green_is_short():
    """It cannot end when the last vehicle is through."""
    timing = view_of("full", "ped", action_mode="stage_duration", min_green=5, max_green=45).timing
    action = np.array([[*queue_rule.NUMBERS["stage_duration"], 0.0, 1.0]])
    least, most = timing.min_greens[1], timing.max_greens[1]
    green = decode_action(timing, first_signal(timing), action).greens.item()
    assert green == np.floor(least + 0.12 * (most - least) + 0.5) < 15
