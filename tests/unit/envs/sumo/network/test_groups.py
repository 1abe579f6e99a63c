"""Groups of links that are green together: members and names."""

from dataclasses import replace

import numpy as np
import pytest

from genreplay.envs.sumo.network.groups import groups_of
from tests.helpers.crossroads import map_ways
from tests.helpers.junctions import junction


def test_groups_of_the_two_way_junction():
    groups = groups_of(junction("2way", 300.0))
    assert {group.name: (group.links, group.num_lanes) for group in groups} == {
        "n_t right straight, s_t right straight": ((0, 1, 6, 7), 2),
        "n_t left, s_t left": ((2, 8), 2),
        "e_t right straight, w_t right straight": ((3, 4, 9, 10), 2),
        "e_t left, w_t left": ((5, 11), 2),
    }


@pytest.mark.parametrize("name", ["allred_slip", "nema", "ped", "staggered", "tram"])
def test_each_link_is_in_one_group_whose_links_are_served_alike(name):
    intersection = map_ways(name)[0]
    groups, served = groups_of(intersection), intersection.plan.served
    assert sorted(link for group in groups for link in group.links) == sorted({x.index for x in intersection.links})
    columns = [served[:, list(group.links)] for group in groups]
    assert all((column == column[:, :1]).all() for column in columns)
    assert len({column[:, 0].tobytes() for column in columns}) == len(groups)
    assert len({group.name for group in groups}) == len(groups)


def test_groups_of_the_same_movements_are_told_apart_by_their_links():
    """Two lanes of one movement with lights of their own."""
    here = junction("2way", 300.0)
    first, second = (link for link in here.links if link.index in (0, 6))
    twice = replace(here, links=(first, replace(second, movement=first.movement)))
    state = {p: "".join("G" if i == p else "r" for i in (0, *[9] * 5, 1, *[9] * 5)) for p in range(4)}
    stages = tuple(replace(stage, state=state[p]) for p, stage in enumerate(here.plan.stages))
    groups = groups_of(replace(twice, plan=replace(here.plan, stages=stages)))
    movement = here.movements[first.movement]
    name = f"{movement.from_edge} {movement.turn}"
    assert [group.name for group in groups] == [f"{name} (links 0)", f"{name} (links 6)"]
    assert np.array([group.num_lanes for group in groups]).tolist() == [1, 1]
