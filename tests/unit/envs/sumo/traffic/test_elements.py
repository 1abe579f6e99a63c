from xml.etree import ElementTree

import pytest

from genreplay.envs.sumo.traffic.elements import Spacing, departure, expected_number, seconds_of, spacing


def flow(attributes):
    return ElementTree.fromstring(f"<flow {attributes}/>")


@pytest.mark.parametrize(("text", "seconds"), [("7.5", 7.5), ("0:01:40", 100), ("triggered", None), (None, None)])
def test_times(text, seconds):
    assert seconds_of(text) == seconds


def test_departures():
    assert departure(ElementTree.fromstring('<trip depart="5"/>'), 100) == 5
    assert departure(ElementTree.fromstring('<person depart="begin"/>'), 100) == 100
    assert departure(ElementTree.fromstring('<vehicle depart="triggered"/>'), 100) is None
    assert departure(flow('begin="7"'), 100) == 7
    assert departure(flow(""), 100) == 100


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('vehsPerHour="360"', Spacing(10, False)),
        ('personsPerHour="360"', Spacing(10, False)),
        ('probability="0.1"', Spacing(10, True)),
        ('period="exp(0.1)"', Spacing(10, True)),
        ('period="0:00:10"', Spacing(10, False)),
        ('number="20"', Spacing(10, False)),
        ('number="20" period="4"', Spacing(4, False)),
        ('vehsPerHour="lots"', None),
        ("", None),
    ],
)
def test_spacing(attributes, expected):
    assert spacing(flow(attributes), 0, 200) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("attributes", "number"),
    [
        ('begin="0" end="400" vehsPerHour="360"', 10),
        ('begin="0" end="400" number="40"', 10),
        ('begin="150" end="400" period="5"', 10),
        ('begin="150" number="5" period="5"', 5),
        ('begin="100" number="8"', 8),
        ('begin="300" end="400" period="5"', 0),
        ('begin="0" end="50" period="5"', 0),
        ('begin="triggered" number="5"', 0),
    ],
)
def test_expected_number_from_100_to_200_s(attributes, number):
    assert expected_number(flow(attributes), 100, 200) == pytest.approx(number)
