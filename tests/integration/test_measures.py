"""What an evaluation episode measures, compared with SUMO's own outputs of the same simulation."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import pytest

from genreplay.common.errors import UserError
from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.simulator.command import sumo_command
from genreplay.envs.sumo.simulator.episode import EpisodeRequest
from genreplay.envs.sumo.world import SumoWorld
from tests.helpers.paths import DATA
from tests.helpers.simulators import recording_simulator

CLASSES = {"DEFAULT_VEHTYPE": "passenger", "bus": "bus", "tram": "tram", "hgv": "truck"}
DETECTOR = (
    '<additional><laneAreaDetector id="{lane}" lane="{lane}" pos="0" endPos="-0.1" period="100000" file="detector.xml" '
    'timeThreshold="0" speedThreshold="0.1" jamThreshold="1000"/></additional>'
)


class Watched:
    """One episode under a baseline, with all that SUMO wrote of it."""

    def __init__(self, folder: Path, config: SumoConfig, baseline: str, detector: str | None = None):
        simulator_class = recording_simulator()
        from genreplay.envs.sumo.simulator import simulator as module

        options = ["--statistic-output", "statistics.xml", "--queue-output", "queues.xml"]
        options += ["--emission-output", "emissions.xml"]
        if detector is not None:
            (folder / "detector.add.xml").write_text(DETECTOR.format(lane=detector))
            options += ["--additional-files", str(folder / "detector.add.xml")]

        def command(*args: Any, **settings: Any) -> list[str]:
            names = [str(folder / word) if word.endswith(".xml") else word for word in options]
            return [*sumo_command(*args, **settings), *names]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "sumo_command", command)
            self.simulator = simulator_class(config, folder)
            self.metrics = self.simulator.baseline(EpisodeRequest(101, evaluation=True), baseline, {})
        self.folder, self.movements = folder, self.simulator.episode.movements

    def read(self, name: str) -> Element:
        return ElementTree.parse(self.folder / name).getroot()

    def queues(self) -> Iterator[Element]:
        """Of each second before the run-out and lane with a queue."""
        for second in self.read("queues.xml"):
            if float(second.attrib["timestep"]) < self.simulator.episode.num_seconds:
                yield from second.iter("lane")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """`2way` under max-pressure until everybody has left, with a detector on the left-turn lane from the north."""
    demand = DemandConfig(evaluation_flows=[2300.0])
    config = SumoConfig(episode_seconds=900, runout_seconds=1800, demand=demand)
    return Watched(tmp_path_factory.mktemp("crowded"), config, "max_pressure", detector="n_t_1")


@pytest.fixture(scope="module")
def tram(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Cars, buses, trucks and trams under the map's plan, until the end of the demand."""
    files = [str(DATA / "signals" / name) for name in ("tram.net.xml", "tram.rou.xml")]
    config = SumoConfig(net_file=files[0], route_file=files[1], episode_seconds=900)
    return Watched(tmp_path_factory.mktemp("tram"), config, "fixed_plan")


@pytest.fixture(scope="module")
def walkers(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Cars and pedestrians under the map's plan, until everybody has left."""
    files = [str(DATA / "signals" / name) for name in ("ped.net.xml", "ped.rou.xml")]
    config = SumoConfig(net_file=files[0], route_file=files[1], episode_seconds=600, runout_seconds=1800)
    return Watched(tmp_path_factory.mktemp("walkers"), config, "fixed_plan")


def test_delay_and_waits_are_those_of_sumos_statistics(crowded: Watched) -> None:
    root = crowded.read("statistics.xml")
    vehicles, trips = root.find("vehicles"), root.find("vehicleTripStatistics")
    assert vehicles is not None
    assert trips is not None
    of = {name: float(text) for name, text in trips.attrib.items()}
    metrics = crowded.metrics
    assert (vehicles.get("running"), vehicles.get("waiting")) == ("0", "0")
    assert metrics["num_vehicles"] == metrics["throughput"] == of["count"] > 500
    assert metrics["delay"] == pytest.approx(of["timeLoss"] + of["departDelay"], abs=0.02)
    assert metrics["waiting_time"] == pytest.approx(of["waitingTime"], abs=0.01)
    assert metrics["travel_time"] == pytest.approx(of["duration"], abs=0.01)
    rows = crowded.read("tripinfo.xml").findall("tripinfo")
    waits = sorted(float(trip.attrib["waitingTime"]) + float(trip.attrib["departDelay"]) for trip in rows)
    assert metrics["wait_max"] == waits[-1]
    assert waits[int(0.94 * len(waits))] <= metrics["wait_p95"] <= waits[int(0.96 * len(waits))]


def test_emissions_are_the_sum_of_every_second(crowded: Watched) -> None:
    co2 = fuel = 0.0
    for vehicle in crowded.read("emissions.xml").iter("vehicle"):
        co2 += float(vehicle.attrib["CO2"])
        fuel += float(vehicle.attrib["fuel"])
    metres = sum(float(trip.attrib["routeLength"]) for trip in crowded.read("tripinfo.xml").iter("tripinfo"))
    assert crowded.metrics["co2"] == pytest.approx(co2 / metres, rel=0.01)
    assert crowded.metrics["fuel"] == pytest.approx(fuel / metres, rel=0.01)
    assert 100 < crowded.metrics["co2"] < 600


def test_movements_share_out_vehicles_delay_and_stops(crowded: Watched) -> None:
    demand = defaultdict(int)
    for vehicle in crowded.read("demand.rou.xml").iter("vehicle"):
        demand[int(vehicle.attrib["route"].removeprefix("m"))] += 1
    movements = crowded.simulator.intersection.movements
    expected = {(movements[i].from_edge, movements[i].to_edge): number for i, number in demand.items()}
    assert {(row["from_edge"], row["to_edge"]): row["vehicles"] for row in crowded.movements} == expected
    total = sum(row["vehicles"] * row["delay"] for row in crowded.movements)
    metrics = crowded.metrics
    # What is left out is lost later than 10 s after the stop line.
    assert 0.97 < total / (metrics["num_vehicles"] * metrics["delay"]) <= 1.0
    stops = sum(row["vehicles"] * row["stops"] for row in crowded.movements)
    assert stops == pytest.approx(metrics["num_vehicles"] * metrics["stops"], rel=0.02)


def longest_by_lane(watched: Watched, attribute: str) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for lane in watched.queues():
        found[lane.attrib["id"]] = max(found[lane.attrib["id"]], float(lane.attrib[attribute]))
    return found


def test_queues_are_sumos(crowded: Watched, tram: Watched) -> None:
    """The longest queue of each lane is that of the movement on it that reaches farthest."""
    for watched, lanes in ((crowded, 8), (tram, 1)):
        of_lane = longest_by_lane(watched, "queueing_length")
        links = watched.simulator.intersection.links
        ways = watched.simulator.intersection.movements
        metres = {(row["from_edge"], row["to_edge"]): row["queue_max_metres"] for row in watched.movements}
        checked = 0
        for lane in {link.from_lane for link in links}:
            movements = [ways[link.movement] for link in links if link.from_lane == lane]
            others = [ways[link.movement] for link in links if link.from_lane != lane]
            if not set(movements) & set(others) and of_lane[lane] > 0:
                mine = max(metres.get((movement.from_edge, movement.to_edge), 0.0) for movement in movements)
                assert mine == pytest.approx(of_lane[lane], abs=0.02), lane
                checked += 1
        assert checked == lanes


def test_the_queue_of_a_lane_is_its_detectors(crowded: Watched) -> None:
    """The lane area detector sees the road alone, so the comparison needs a queue that stays on it."""
    interval = crowded.read("detector.xml").find("interval")
    assert interval is not None
    row = next(r for r in crowded.movements if (r["from_edge"], r["turn"]) == ("n_t", "left"))
    assert row["queue_max"] == float(interval.attrib["maxJamLengthInVehicles"])
    assert 0 < row["queue_p95"] <= row["queue_max"]


def test_the_longest_red_is_the_longest_wait_at_a_stop_line(tram: Watched) -> None:
    """On the trams' own track the first one stands from its arrival to the next green."""
    waited = longest_by_lane(tram, "queueing_time")["e_tram_in_0"]
    row = next(r for r in tram.movements if r["from_edge"] == "e_tram_in")
    assert waited > 20
    assert row["longest_red"] == pytest.approx(waited, abs=4)
    assert tram.metrics["longest_red"] == max(r["longest_red"] for r in tram.movements) <= 90


def test_delay_by_class_is_that_of_the_trips(tram: Watched) -> None:
    lost: dict[str, list[float]] = defaultdict(list)
    for trip in tram.read("tripinfo.xml").findall("tripinfo"):
        lost[trip.attrib["vType"]].append(float(trip.attrib["timeLoss"]) + float(trip.attrib["departDelay"]))
    assert len(lost) == 4
    for kind, values in lost.items():
        assert tram.metrics[f"delay_{CLASSES[kind]}"] == pytest.approx(sum(values) / len(values))


def test_the_capacity_of_a_jammed_movement_is_what_passed(tmp_path: Path) -> None:
    jam = Watched(tmp_path, SumoConfig(demand=DemandConfig(evaluation_flows=[2200.0])), "fixed_plan")
    ways = [(movement.from_edge, movement.to_edge) for movement in jam.simulator.intersection.movements]
    full = [row for row in jam.movements if row["volume_to_capacity"] > 1.2]
    assert len(full) >= 2
    for row in full:
        queue = jam.simulator.episode.meter.movements[ways.index((row["from_edge"], row["to_edge"]))].queue
        capacity = row["vehicles"] / row["volume_to_capacity"]
        assert 0.999 < capacity / (row["vehicles"] - queue) < 1.2
        assert row["level_of_service"] == "F"
    assert any(row["volume_to_capacity"] < 0.8 and row["delay"] < 35 for row in jam.movements)


def test_pedestrians_count(walkers: Watched) -> None:
    people = [p for p in walkers.read("tripinfo.xml").findall("personinfo") if float(p.attrib["depart"]) < 600]
    lost = {person.attrib["id"]: float(person.attrib["timeLoss"]) for person in people}
    assert len(lost) > 40
    assert walkers.metrics["delay_pedestrian"] == pytest.approx(sum(lost.values()) / len(lost))
    cars, delay = walkers.metrics["num_vehicles"], walkers.metrics["delay"]
    expected = (sum(lost.values()) + 1.7 * cars * delay) / (len(lost) + 1.7 * cars)
    assert walkers.metrics["person_delay"] == pytest.approx(expected)


def test_a_pedestrian_loses_the_time_at_the_light(walkers: Watched) -> None:
    """What stands in for the loss of an unfinished walk, of which SUMO records none. `p1` crosses no road."""
    stood = walkers.simulator.episode.meter.stood
    people = walkers.read("tripinfo.xml").findall("personinfo")
    lost = {person.attrib["id"]: float(person.attrib["timeLoss"]) for person in people}
    assert all(name.startswith("p2.") for name in stood)
    assert sum(seconds > 20 for seconds in stood.values()) > 10
    assert all(20 < lost[name] - seconds < 80 for name, seconds in stood.items())
    before = [name for name in lost if float(next(p for p in people if p.get("id") == name).attrib["depart"]) < 600]
    mean = sum(stood.get(name, 0) for name in before) / len(before)
    assert walkers.metrics["wait_pedestrian"] == pytest.approx(mean)


def test_warm_up_leaves_out_vehicles_and_run_out_waits_for_the_others(tmp_path: Path) -> None:
    demand = DemandConfig(evaluation_flows=[2600.0])
    plain = Watched(tmp_path, SumoConfig(episode_seconds=600, demand=demand), "random")
    departs = [float(v.attrib["depart"]) for v in plain.read("demand.rou.xml").iter("vehicle")]
    assert plain.metrics["num_vehicles"] == len(departs) > plain.metrics["throughput"]
    options = {"warmup_seconds": 200, "runout_seconds": 3000}
    whole = Watched(tmp_path, SumoConfig(episode_seconds=600, demand=demand, **options), "random")
    late = sum(depart >= 200 for depart in departs)
    assert whole.metrics["num_vehicles"] == whole.metrics["throughput"] == late
    assert whole.metrics["delay"] > plain.metrics["delay"]
    assert 600 < whole.simulator.episode.elapsed < 3600  # the map was empty before
    assert whole.simulator.episode.measured_seconds == 400
    assert sum(row["vehicles"] for row in whole.movements) == late


def test_a_policy_goes_on_in_the_run_out_of_evaluations_only(tmp_path: Path) -> None:
    demand = DemandConfig(evaluation_flows=[2000.0], flow_range=[2000.0, 2000.0])
    config = SumoConfig(episode_seconds=300, warmup_seconds=60, runout_seconds=900, demand=demand)
    simulator = recording_simulator()(config, tmp_path)
    seconds = {}
    for evaluation in (True, False):
        simulator.start(EpisodeRequest(5, evaluation))
        outcomes: list[Any] = []
        while not outcomes or not outcomes[-1].truncated:
            outcomes.append(simulator.decide(np.zeros(simulator.timing.action_width)))
        seconds[evaluation] = sum(outcome.duration for outcome in outcomes)
        metrics = outcomes[-1].metrics
        assert ("longest_red" in metrics) == evaluation
        assert (metrics["throughput"] == metrics["num_vehicles"] > 80) == evaluation
        assert bool(simulator.episode.movements) == evaluation
    assert 300 < seconds[True] < 1200
    assert 300 <= seconds[False] < 400


def test_a_brief_episode_has_the_same_delay(tmp_path: Path) -> None:
    """As a search for a plan plays it."""
    simulator = recording_simulator()(SumoConfig(episode_seconds=300, runout_seconds=300), tmp_path)
    whole, brief = (
        simulator.baseline(EpisodeRequest(3, evaluation=True), "fixed_plan", {}, brief=brief) for brief in (False, True)
    )
    assert brief.items() <= whole.items()
    assert "delay" in brief
    assert {"longest_red", "co2"} <= whole.keys() - brief.keys()


def test_a_run_out_is_bounded(tmp_path: Path) -> None:
    demand = DemandConfig(evaluation_flows=[2600.0])
    config = SumoConfig(episode_seconds=600, demand=demand, runout_seconds=20)
    watched = Watched(tmp_path, config, "fixed_plan")
    assert watched.simulator.episode.elapsed == 620
    assert watched.metrics["throughput"] < watched.metrics["num_vehicles"]


def test_a_warm_up_longer_than_the_episode_is_refused() -> None:
    with pytest.raises(UserError) as error:
        SumoWorld(SumoConfig(episode_seconds=300, warmup_seconds=300))
    assert str(error.value) == (
        "env.warmup_seconds: 300 s leave nothing of an episode of 300 s to measure; shorten it, or set a longer "
        "env.episode_seconds"
    )
