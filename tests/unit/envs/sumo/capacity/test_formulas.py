import numpy as np
import pytest

from genreplay.envs.sumo.capacity.formulas import (
    HCM,
    cycle_length,
    gap_flow,
    overflow_delay,
    passed_before,
    pedestrian_factor,
)
from tests.helpers.hcm import uniform_delay


def test_gaps_by_hand():
    """400 vehicles/h: 400 exp(-0.5) / (1 - exp(-0.2778)) = 242.6 / 0.2425."""
    assert gap_flow(400.0, HCM.critical_gap, HCM.follow_up) == pytest.approx(1000.2, abs=0.5)
    assert gap_flow(0.0, HCM.critical_gap, HCM.follow_up) == pytest.approx(3600 / 2.5)
    flows = gap_flow(np.array([0.0, 200.0, 800.0, 1600.0]), 4.5, 2.5)
    assert (np.diff(flows) < 0).all()


def test_gaps_are_those_of_random_arrivals():
    """Vehicles that enter gaps of a Poisson stream: one from t_c on, another one each t_f more."""
    gaps = np.random.default_rng(1).exponential(3600 / 600, size=200_000)
    entered = np.where(gaps < 4.5, 0, 1 + (gaps - 4.5) // 2.5).sum()
    assert entered / gaps.sum() * 3600 == pytest.approx(float(gap_flow(600.0, 4.5, 2.5)), rel=0.01)


def test_pedestrians_by_hand():
    """100 an hour, walk 45 of 90 s: 200 an hour of walk, occupied 0.1 of it."""
    assert pedestrian_factor(100, 90, 45) == pytest.approx(0.9)
    assert pedestrian_factor(0, 90, 45) == 1.0
    assert pedestrian_factor(1000, 90, 45) == pytest.approx(0.4)  # 2000: 0.4 + 0.2 of it is occupied
    assert pedestrian_factor(1e9, 90, 45) == pytest.approx(0.1)


def test_delay_by_hand():
    """C = 90 s, g = 36 s, X = 0.8: 0.5 * 90 * 0.6^2 / (1 - 0.32). At X = 1, c = 1000/h, a quarter of an hour: 225 *
    sqrt(4 / 250).
    """
    assert uniform_delay(90, 36, 0.8) == pytest.approx(23.82, abs=0.01)
    assert overflow_delay(1.0, 1000, 900) == pytest.approx(28.46, abs=0.01)
    assert overflow_delay(0.5, 1000, 900) == pytest.approx(1.79, abs=0.01)
    # With twice the capacity half of an hour's vehicles wait for the other half: 900 T (1 + 1) = 450 s at least.
    assert 450 < overflow_delay(2.0, 1000, 900) < 460


@pytest.mark.parametrize(("share", "room", "waiting"), [(0.2, 10, 0), (0.2, 10, 1), (0.5, 30, 0), (0.05, 8, 2)])
def test_vehicles_before_one_that_holds_up_the_lane(share, room, waiting):
    stuck = np.random.default_rng(2).random((100_000, room)) < share
    held = stuck.cumsum(axis=1) > waiting
    assert passed_before(share, room, waiting) == pytest.approx((~stuck & ~held).sum(axis=1).mean(), rel=0.01)


def test_nobody_or_everybody_is_held_up():
    assert passed_before(0.0, 7.5) == pytest.approx(7.5)
    assert passed_before(1.0, 7.5, 1) == 0.0


def test_websters_cycle_in_a_textbook():
    """Khanna and Justo, "Highway Engineering": roads A and B with 400 and 250 pcu/h, saturation flows 1250 and 1000
    pcu/h, lost time 2 * 2 + 12 s of all-red. The book: cycle 67.5 s.
    """
    assert cycle_length(400 / 1250 + 250 / 1000, 16.0, 120.0) == pytest.approx(67.5, abs=0.1)
    assert cycle_length(0.99, 10.0, 120.0) == 120.0  # 2000 s by the formula
    assert cycle_length(1.2, 10.0, 120.0) == 120.0  # where it has no answer
