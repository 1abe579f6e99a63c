import numpy as np
import pytest

from genreplay.envs.sumo.simulator.tripinfo import read_trips, summary

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<tripinfos xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
ARRIVED = (
    '<tripinfo id="a" depart="3.00" departDelay="2.50" arrival="57.00" duration="54.00" waitingTime="30.00" '
    'timeLoss="35.80" vaporized=""/>'
)
UNDER_WAY = (
    '<tripinfo id="b" depart="194.00" departDelay="184.00" arrival="-1.00" duration="6.00" waitingTime="1.00" '
    'timeLoss="4.95" vaporized="end"><emissions CO2_abs="1"/></tripinfo>'
)
NEVER_ENTERED = (
    '<tripinfo id="c" depart="-1" departDelay="80.20" arrival="-1.00" duration="0.00" waitingTime="0.00" '
    'timeLoss="0.00" vaporized="end"/>'
)


def written(tmp_path, *trips):
    path = tmp_path / "tripinfo.xml"
    path.write_text(HEAD + "".join(trips) + "</tripinfos>")
    return path


def test_delay_counts_arrived_unfinished_and_undeparted(tmp_path):
    path = written(tmp_path, ARRIVED, UNDER_WAY, NEVER_ENTERED)
    np.testing.assert_allclose(read_trips(path).delay, [38.3, 188.95, 80.2])


def test_summary(tmp_path):
    figures = summary(read_trips(written(tmp_path, ARRIVED, UNDER_WAY)))
    assert figures == pytest.approx(
        {"delay": (38.3 + 188.95) / 2, "waiting_time": 15.5, "travel_time": 30.0, "num_vehicles": 2, "throughput": 1}
    )


def test_no_traffic_has_no_delay(tmp_path):
    path = written(tmp_path)
    assert read_trips(path).delay.shape == (0,)
    assert summary(read_trips(path))["delay"] == 0
