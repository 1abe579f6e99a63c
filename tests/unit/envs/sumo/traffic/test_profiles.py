import pytest

from genreplay.envs.sumo.config import DemandConfig
from genreplay.envs.sumo.traffic.profiles import Profile, default_demands, is_in_range, parse_profile
from tests.helpers.refusal import refusal

CONFIG = DemandConfig(flow_range=[1000.0, 2000.0], scale_range=[0.75, 1.1])


@pytest.mark.parametrize(
    ("name", "is_given", "profile", "in_range"),
    [
        ("1500", False, Profile(1500.0), True),
        ("2600", False, Profile(2600.0), False),
        ("tidal", False, Profile(1500.0, "tidal"), False),
        ("surge:1200", False, Profile(1200.0, "surge"), False),
        ("1.1", True, Profile(1.1), True),
        ("1.25", True, Profile(1.25), False),
    ],
)
def test_names(name, is_given, profile, in_range):
    assert parse_profile(name, CONFIG, is_given) == profile
    assert is_in_range(profile, CONFIG, is_given) == in_range


def test_defaults_lie_inside_and_outside_the_range():
    assert default_demands(CONFIG, False) == ["1000", "1500", "2000", "2600", "tidal", "surge", "other_day"]
    assert default_demands(CONFIG, True) == ["0.75", "1", "1.1", "1.26"]
    for is_given in (False, True):
        for name in default_demands(CONFIG, is_given):
            parse_profile(name, CONFIG, is_given)


@pytest.mark.parametrize(
    ("name", "is_given", "message"),
    [
        *(
            (
                name,
                False,
                "there is no such demand; give a flow in [10, 20000] vehicles/h, such as 1500, or one of tidal, surge, "
                "other_day",
            )
            for name in ("1.25", "surge:x")
        ),
        (
            "1000",
            True,
            "there is no such demand; this map has a route file or counts, so give factors on them in [0.01, 10], such "
            "as 1.25",
        ),
        (
            "tidal",
            True,
            "tidal is a shape of random traffic, but this map has a route file or counts; give factors "
            "on them, such as 0.75,1,1.25",
        ),
    ],
)
def test_a_demand_that_is_none_here(name, is_given, message):
    assert refusal(lambda: parse_profile(name, CONFIG, is_given)) == f"--demand {name}: {message}"
