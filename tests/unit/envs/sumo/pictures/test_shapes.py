from collections import Counter
from pathlib import Path

import pytest

from genreplay.envs.sumo.pictures.ground import arrow
from genreplay.envs.sumo.pictures.shapes import StopLine, Turn, read_shapes
from genreplay.envs.sumo.pictures.signals import segments
from tests.helpers.paths import DATA

SIGNALS = DATA / "signals"


def lines(name: str) -> dict[tuple[float, float], list[tuple[int, float]]]:
    shapes = read_shapes(SIGNALS / name, "C")
    return {line.end: [(turn.signal, turn.angle) for turn in line.turns] for line in shapes.stop_lines}


def test_the_turns_of_shared_lanes_from_right_to_left():
    """The northern approach of a right-hand map: right and straight on, then straight on, left and back."""
    found = lines("ped.net.xml")
    assert found[295.2, 310.4] == [(0, -90.0), (1, 0.0)]
    assert found[298.4, 310.4] == [(2, 0.0), (3, 90.0), (4, 180.0)]


def test_left_hand_traffic_is_mirrored():
    """The southern approach: left and straight on at the kerb on the left; right and back (dir T) in the middle."""
    found = lines("lefthand.net.xml")
    assert found[292.0, 286.4] == [(1, 0.0), (0, 90.0)]
    assert found[298.4, 286.4] == [(4, -180.0), (3, -90.0)]


@pytest.mark.parametrize("letter", ["s", "l", "r", "t"])
def test_an_invalid_direction_is_read_from_the_path(letter: str, tmp_path: Path) -> None:
    text = (SIGNALS / "ped.net.xml").read_text()
    broken = tmp_path / "net.net.xml"
    broken.write_text(text.replace(f'dir="{letter}"', 'dir="invalid"'))
    found = {signal: angle for turns in lines("ped.net.xml").values() for signal, angle in turns}
    shapes = read_shapes(broken, "C")
    assert {turn.signal: abs(turn.angle) for line in shapes.stop_lines for turn in line.turns} == {
        signal: abs(angle) for signal, angle in found.items()
    }


def test_a_stop_line_is_parted_from_right_to_left() -> None:
    """A lane that leads north to (0, 0), with a right turn and a turn back."""
    line = StopLine((0.0, 0.0), (0.0, 1.0), 3.0, [Turn(7, -90.0, []), Turn(3, 180.0, [])])
    assert segments(line) == [[(1.5, 0.0), (0.0, 0.0)], [(0.0, 0.0), (-1.5, 0.0)]]


@pytest.mark.parametrize("angle", [45.0, 90.0, 180.0])
def test_arrows_point_where_they_lead(angle: float) -> None:
    """On a lane that leads north: to the left west, to the right east, and one the mirror image of the other."""
    line = StopLine((0.0, 0.0), (0.0, 1.0), 3.2, [])
    (stroke, tip), (mirrored, other) = arrow(line, angle), arrow(line, -angle)
    assert stroke[0] == mirrored[0] == (0.0, -12.5), "one stem for all turns of a lane"
    assert tip[0][0] < -0.5
    assert tip[0][0] == pytest.approx(-other[0][0])
    assert [point[0] for point in stroke] == pytest.approx([-point[0] for point in mirrored])
    assert all(abs(x) <= 1.65 for x, _ in (*stroke, *tip)), "within the lane"
    assert (tip[0][1] < stroke[-1][1] - 1) == (angle == 180.0), "a turn back points back"


def test_crossings_and_their_signals() -> None:
    shapes = read_shapes(SIGNALS / "ped.net.xml", "C")
    assert {crossing.signal for crossing in shapes.crossings} == {20, 21, 22, 23}
    north = next(crossing for crossing in shapes.crossings if crossing.signal == 20)
    assert (north.middle, north.width) == ([(306.4, 308.4), (293.6, 308.4)], 4.0)


def test_surfaces_by_who_uses_them() -> None:
    kinds = Counter(surface.kind for surface in read_shapes(SIGNALS / "tram.net.xml", "C").surfaces)
    assert kinds == {"rail": 4, "bus lane": 4, "roadway": 16}
    assert Counter(surface.kind for surface in read_shapes(SIGNALS / "ped.net.xml", "C").surfaces)["sidewalk"] == 8
