import numpy as np

from genreplay.envs.sumo.pictures.traffic import MOVING, ROOFS, SLOW, STANDING, outlines, speed_colors
from genreplay.envs.sumo.simulator.recorder import KIND_OF_CLASS, KINDS


def test_outlines_by_hand():
    """A car 5 m long and 2 m wide, its bumper at (10, 20), heading east (90 degrees from north), then north."""
    east, north = outlines(np.array([[10.0, 20.0, 90.0, 3.0, 5.0, 2.0, 0], [10.0, 20.0, 0.0, 3.0, 5.0, 2.0, 0]]))
    assert sorted(map(tuple, east.round(6).tolist())) == [(5, 19), (5, 21), (10, 19), (10, 21)]
    assert sorted(map(tuple, north.round(6).tolist())) == [(9, 15), (9, 20), (11, 15), (11, 20)]


def test_kinds_are_told_apart_by_size_and_roof():
    """A bicycle keeps smaller than a car; a roof lies within its vehicle, at the same distance from every side."""
    small = [0.0, 0.0, 0.0, 1.0, 1.6, 0.65]
    bicycle, car = outlines(np.array([[*small, KINDS.index("bicycle")], [*small, KINDS.index("car")]]))
    assert np.ptp(bicycle, axis=0).tolist() == [1.3, 2.6]
    assert np.ptp(car, axis=0).tolist() == [2.0, 4.5]
    (roof,) = outlines(np.array([[0.0, 0.0, 0.0, 1.0, 12.0, 2.5, KINDS.index("bus")]]), share=0.6)
    assert roof.min(axis=0).round(6).tolist() == [-0.75, -11.5]
    assert roof.max(axis=0).round(6).tolist() == [0.75, -0.5]
    assert set(ROOFS) == set(KINDS) - {"car", "pedestrian"} == set(KIND_OF_CLASS.values())


def test_speed_colors():
    assert speed_colors(np.array([0.0, 0.1, 4.9, 5.0])) == [STANDING, SLOW, SLOW, MOVING]
    assert speed_colors(np.array([0.0, 0.5]), slow=0.0) == [STANDING, MOVING], "people are not slow"
