import numpy as np

from genreplay.envs.sumo.pictures.renderer import compass_names, outlines, phase_name


def test_outlines_by_hand():
    """A car 5 m long and 2 m wide, its bumper at (10, 20), heading east (90 degrees from north), then north."""
    east, north = outlines(np.array([[10.0, 20.0, 90.0, 3.0, 5.0, 2.0], [10.0, 20.0, 0.0, 3.0, 5.0, 2.0]]))
    assert sorted(map(tuple, east.round(6).tolist())) == [(5, 19), (5, 21), (10, 19), (10, 21)]
    assert sorted(map(tuple, north.round(6).tolist())) == [(9, 15), (9, 20), (11, 15), (11, 20)]


def test_compass_names():
    """Roads that end at the origin are named by the direction of their beginning."""
    begins = [(0, 9), (9, 0), (-5, -5), (0.5, 9), (0, -9)]
    assert compass_names([[(0, 99), begin, (0, 0)] for begin in begins]) == ["N", "E", "SW", "N 2", "S"]


def test_phase_names():
    assert phase_name("Gr", ["Gr", "rG"]) == "stage 0"
    assert phase_name("yr", ["Gr", "rG"]) == "yellow"
    assert phase_name("rr", ["Gr", "rG"]) == "change"
