from genreplay.envs.sumo.pictures.renderer import longest_wait, phase_name


def test_phase_names():
    greens = ["GrG", "rGr"]
    assert phase_name("GrG", greens) == "stage 0: green"
    assert phase_name("Grr", greens) == "clearance", "a green that is no stage lets people finish"
    assert phase_name("yrr", greens) == "yellow"
    assert phase_name("rur", greens) == "red and amber"
    assert phase_name("rrr", greens) == "all red"


def test_who_waits_longest():
    assert longest_wait(None, ["N", "E"]) == "nobody waits"
    assert longest_wait([279, 2, 1, 310.4, 301.6], ["N", "E"]) == "longest wait: tram from E, 279 s"
    assert longest_wait([9, 0, 0, None, None], ["N", "E"]) == "longest wait: car from N, still to enter the map, 9 s"
    assert longest_wait([61, 5, -1, 1.0, 2.0], ["N", "E"]) == "longest wait: pedestrian, 61 s"
