from pathlib import Path

import pytest

from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network import naming
from genreplay.envs.sumo.network.naming import read_names, side
from genreplay.envs.sumo.traffic.scenarios import resolve
from genreplay.envs.sumo.world import SumoWorld


@pytest.mark.parametrize(
    ("start", "name"),
    [((0, 9), "north"), ((9, 9), "north-east"), ((9, 0), "east"), ((9, -9), "south-east"), ((0, -9), "south"),
     ((-9, -9), "south-west"), ((-9, 0), "west"), ((-9, 9), "north-west"), ((-1, 9), "north")],
)  # fmt: skip
def test_the_side_from_which_a_line_comes(start: tuple[float, float], name: str) -> None:
    assert side([start, (0.0, 0.0)]) == name


def test_only_the_last_metres_before_the_stop_line_count() -> None:
    bend = [(500.0, 60.0), (0.0, 60.0), (0.0, 0.0)]
    assert side(bend) == "north"
    assert side([(500.0, 20.0), (0.0, 20.0), (0.0, 0.0)]) == "north-east"


def test_names_of_a_map_without_streets() -> None:
    world = SumoWorld(SumoConfig())
    names = read_names(world.net_file, world.intersection)
    assert names.approaches == (
        "north approach (n_t)", "east approach (e_t)", "south approach (s_t)", "west approach (w_t)",
    )  # fmt: skip
    assert "north left (n_t -> t_e)" in names.movements
    assert len(set(names.movements)) == len(world.intersection.movements)


def test_a_street_that_the_map_names(tmp_path: Path) -> None:
    net_file = tmp_path / "named.net.xml"
    text = resolve(SumoConfig()).net_file.read_text()
    net_file.write_text(text.replace('<edge id="n_t"', '<edge id="n_t" name="Main Street"'))
    world = SumoWorld(SumoConfig(net_file=str(net_file)))
    names = naming.read_names(world.net_file, world.intersection)
    assert names.approaches[0] == "Main Street, north approach (n_t)"
    assert "Main Street, north left (n_t -> t_e)" in names.movements
