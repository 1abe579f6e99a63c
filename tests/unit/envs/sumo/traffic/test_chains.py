"""One light over two junctions, 40 m apart: A in the west and B in the east."""

import numpy as np
import pytest

from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.traffic.chains import read_chains
from genreplay.envs.sumo.traffic.demand import Demand
from genreplay.envs.sumo.traffic.scenarios import resolve
from tests.helpers.junctions import junction
from tests.helpers.paths import DATA
from tests.helpers.refusal import refusal
from tests.helpers.staggered import NET, staggered_chains


def counted(path):
    scenario = resolve(SumoConfig(net_file=str(NET), count_file=str(path)))
    return Demand(DemandConfig(), scenario, read_intersection(NET, SumoConfig()))


def table(folder, **counts):
    path = folder / "counts.csv"
    heads = [name.replace("_", " -> ") for name in counts]
    path.write_text(f"begin,end,{','.join(heads)}\n0,3600,{','.join(map(str, counts.values()))}\n")
    return path


def flows(demand):
    """Vehicles/h of each way, by its edges, where there are any."""
    chains = demand.chains
    found = chains.of_counts(demand.counted[0].flows)
    ways = [" ".join(chains.edges(way, demand.intersection.entries)) for way in chains.ways]
    return {way: flow for way, flow in zip(ways, found, strict=True) if flow > 0}


@pytest.mark.parametrize("scenario", ["2way", "single", "cologne1", "ingolstadt1"])
def test_at_one_junction_each_way_is_one_movement(scenario):
    chains = read_chains(junction(scenario, 300.0), resolve(SumoConfig(scenario=scenario)).net_file)
    assert chains.ways == tuple((i,) for i in range(len(chains.movements)))
    counts = np.arange(len(chains.movements), dtype=np.float64)
    np.testing.assert_array_equal(chains.of_counts(counts), counts)


def test_the_second_stop_line_follows_the_first():
    chains = staggered_chains()
    approaches = {movement.approach: movement.from_edge for movement in chains.movements}
    assert {approaches[i] for i in chains.inner} == {"AB", "BA"}
    following = {
        (movement.from_edge, movement.to_edge): approaches.get(i)
        for movement, i in zip(chains.movements, chains.following, strict=True)
        if movement.turn != "turn"
    }
    assert {movement for movement, approach in following.items() if approach} == {
        ("wA", "AB"),
        ("sA", "AB"),
        ("nB", "BA"),
        ("eB", "BA"),
    }


def test_a_vehicle_counted_at_both_stop_lines_is_one_vehicle():
    """The table's columns add up to 960 vehicles in half an hour; 410 of them are seen twice."""
    here = counted(DATA / "staggered_c.csv")
    (segment,) = here.counted
    assert segment.flows.sum() / 2 == 960
    assert segment.vehicles / 2 == pytest.approx(550)
    by_movement = {(m.from_edge, m.to_edge): f / 2 for m, f in zip(here.chains.movements, segment.flows, strict=True)}
    assert by_movement["wA", "AB"] == pytest.approx(150)
    assert by_movement["AB", "Bn"] == pytest.approx(70)
    by_way = flows(here)
    assert by_way["wA AB Bn"] / 2 == pytest.approx(150 * 70 / 210)
    assert not any(way.startswith(("AB", "BA")) or way.endswith(("AB", "BA")) for way in by_way)


def test_vehicles_that_only_the_inner_line_counts_begin_on_the_road_between(tmp_path):
    by_way = flows(counted(table(tmp_path, wA_AB=60, AB_Be=60, AB_Bn=40)))
    assert by_way == pytest.approx({"wA AB Be": 36, "wA AB Bn": 24, "AB Be": 24, "AB Bn": 16})


def test_vehicles_that_the_inner_line_lacks_end_on_the_road_between(tmp_path):
    by_way = flows(counted(table(tmp_path, wA_AB=60, sA_AB=40, AB_Be=50)))
    assert by_way == pytest.approx({"wA AB": 30, "sA AB": 20, "wA AB Be": 30, "sA AB Be": 20})


def test_counts_without_the_inner_stop_line_are_refused(tmp_path):
    path = table(tmp_path, wA_AB=60, eB_BA=30, BA_Aw=30)
    assert refusal(lambda: counted(path)) == (
        f"env.count_file: {path} counts vehicles that reach the stop line of 'AB', but none that crosses it; add the "
        "columns of its movements, such as 'AB -> Be'"
    )
