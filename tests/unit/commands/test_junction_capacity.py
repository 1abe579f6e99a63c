"""What `genreplay junction` says about capacity, on cases whose answer SUMO gives."""

import pytest

from genreplay import cli
from genreplay.commands.junction_capacity import verdict
from tests.helpers.paths import REPOSITORY

MAPS = REPOSITORY / "tests/data/signals"
NET = str(REPOSITORY / "examples/my_junction/my_junction.net.xml")


def shown(capsys, net, counts, *options):
    assert cli.main(["junction", "--net", str(net), "--counts", str(counts), *options]) == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("saturation", "words"),
    [
        (0.85, "a fixed plan can carry that"),
        (0.9, "a fixed plan can just carry that: queues will outlast cycles"),
        (1.01, "more than any fixed plan carries: queues will grow"),
    ],
)
def test_verdicts(saturation, words):
    assert verdict(saturation) == words


def test_lost_time_and_cycle_are_named(capsys):
    out = shown(capsys, MAPS / "allred.net.xml", MAPS / "four_full.csv")
    assert "The hardest time is 07:15 to 07:30: 4480 vehicles/h over the light." in out
    assert "The map's fixed plan, with C = 90 s: 1.27 of the capacity of its fullest lane." in out
    assert "of at most (C - L) / C = 0.80 with L = 24 s and C = 120 s; 0.89 of the capacity of its fullest lane" in out
    assert "a fixed plan can just carry that" in out


def test_permissive_left_turns_are_too_much(capsys):
    """In SUMO every plan jams there; in the lighter counts none does."""
    assert "more than any fixed plan carries" in shown(capsys, MAPS / "ped.net.xml", MAPS / "four_heavy.csv")
    light = shown(capsys, MAPS / "ped.net.xml", MAPS / "four_light.csv", "--pedestrians", "50")
    assert "(a fixed plan can carry that)" in light
    assert "Turns give way to 50 pedestrians an hour on each crossing" in light


def test_a_row_has_right_of_way_flow_capacity_and_level_of_service(capsys):
    out = shown(capsys, MAPS / "allred.net.xml", MAPS / "four_full.csv")
    assert "n_in -> s_out straight 0 protected 591 676 910 0.74 36 D" in out
    assert "n_in -> e_out left (0) 1 protected, permissive 250 288 226 1.27 190 F" in out
    assert "n_in -> n_out turn (0) 1 protected, permissive 0 0 - - - -" in out


def test_a_nema_programme_is_taken_as_one_round(capsys):
    """Its eight stages are alternatives: four of 50 s with 5 s between them make its cycle of 220 s."""
    out = shown(capsys, MAPS / "nema.net.xml", MAPS / "four_light.csv")
    assert "in its NEMA programme '0' of 220 s" in out
    assert "The map's NEMA plan, with C = 220 s" in out


def test_lanes_of_trams_carry_no_cars(capsys):
    assert cli.main(["junction", "--net", str(MAPS / "tram.net.xml")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "e_tram_in -> w_tram_out straight 3 protected - " in out


def test_more_than_a_plan_can_carry(capsys, tmp_path):
    """Two lanes with 2700 and one with 900 vehicles/h: 0.75 + 0.5 of the saturation flow."""
    table = tmp_path / "counts.csv"
    table.write_text("begin,end,west_in -> east_out,south_in -> west_out\n07:00,08:00,2700,900\n")
    out = shown(capsys, NET, table, "env.max_green=100")
    assert "critical flow ratios 1.25 of at most (C - L) / C = 0.93 with L = 8 s and C = 120 s" in out
    assert "more than any fixed plan carries" in out
