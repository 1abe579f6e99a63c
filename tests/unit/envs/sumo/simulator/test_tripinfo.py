import numpy as np
import pytest

from genreplay.envs.sumo.simulator.metrics import delays_by_class, vehicle_metrics
from genreplay.envs.sumo.simulator.tripinfo import read_people, read_trips

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<tripinfos xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
ARRIVED = (
    '<tripinfo id="a" depart="3.00" departDelay="2.50" arrival="57.00" duration="54.00" waitingTime="30.00" '
    'waitingCount="2" routeLength="600.00" timeLoss="35.80" vType="car" vaporized=""/>'
)
UNDER_WAY = (
    '<tripinfo id="b" depart="194.00" departDelay="184.00" arrival="-1.00" duration="6.00" waitingTime="1.00" '
    'waitingCount="1" routeLength="100.00" timeLoss="4.95" vType="bus" vaporized="end">'
    '<emissions CO2_abs="30000" fuel_abs="10000"/></tripinfo>'
)
NEVER_ENTERED = (
    '<tripinfo id="c" depart="-1" departDelay="80.20" arrival="-1.00" duration="0.00" waitingTime="0.00" '
    'waitingCount="0" routeLength="-1.00" timeLoss="0.00" vType="car" vaporized="end"/>'
)
WALKED = (
    '<personinfo id="p" depart="7.00"><walk arrival="60.00" timeLoss="12.00"/>'
    '<ride arrival="80.00"/><walk arrival="90.00" timeLoss="3.00"/></personinfo>'
)
WALKS = '<personinfo id="q" depart="8.00"><walk arrival="-1" timeLoss="0.00"/></personinfo>'
NOT_SET_OFF = '<personinfo id="r" depart="-1"><walk arrival="-1" timeLoss="0.00"/></personinfo>'
RIDES = '<personinfo id="s" depart="9.00"><ride arrival="80.00"/></personinfo>'


def written(tmp_path, *trips):
    path = tmp_path / "tripinfo.xml"
    path.write_text(HEAD + "".join(trips) + "</tripinfos>")
    return path


def test_delay_counts_arrived_unfinished_and_undeparted(tmp_path):
    trips = read_trips(written(tmp_path, ARRIVED, UNDER_WAY, NEVER_ENTERED))
    np.testing.assert_allclose(trips.delay, [38.3, 188.95, 80.2])
    np.testing.assert_allclose(trips.scheduled(200.0), [0.5, 10.0, 119.8])
    assert trips.name.tolist() == ["a", "b", "c"]


def test_vehicle_metrics(tmp_path):
    figures = vehicle_metrics(read_trips(written(tmp_path, ARRIVED, UNDER_WAY)))
    assert figures == pytest.approx(
        {
            "delay": (38.3 + 188.95) / 2,
            "waiting_time": 15.5,
            "travel_time": 30.0,
            "wait_p95": 32.5 + 0.95 * (185 - 32.5),
            "wait_max": 185.0,
            "stops": 1.5,
            "num_vehicles": 2,
            "throughput": 1,
            "fuel": 100.0,
            "co2": 300.0,
        }
    )


def test_no_traffic_has_no_delay(tmp_path):
    trips = read_trips(written(tmp_path))
    assert trips.delay.shape == (0,)
    assert vehicle_metrics(trips)["delay"] == vehicle_metrics(trips)["wait_max"] == 0
    assert delays_by_class(trips, {}, read_people(written(tmp_path))) == {"person_delay": 0.0}


def test_people_who_walked_or_are_walking(tmp_path):
    people = read_people(written(tmp_path, ARRIVED, WALKED, WALKS, NOT_SET_OFF, RIDES))
    np.testing.assert_array_equal(people.delay, [15.0, np.nan])
    assert people.name.tolist() == ["p", "q"]


def test_delay_by_class_and_of_a_person(tmp_path):
    path = written(tmp_path, ARRIVED, UNDER_WAY, NEVER_ENTERED, WALKED, WALKS)
    found = delays_by_class(read_trips(path), {"car": "passenger", "bus": "bus"}, read_people(path))
    lost = 1.7 * (38.3 + 80.2) + 10.8 * 188.95 + 15.0
    assert found == pytest.approx(
        {
            "delay_bus": 188.95,
            "delay_passenger": (38.3 + 80.2) / 2,
            "delay_pedestrian": 15.0,
            "person_delay": lost / (2 * 1.7 + 10.8 + 1),
        }
    )


def test_one_class_alone_has_no_figure_of_its_own(tmp_path):
    path = written(tmp_path, ARRIVED)
    assert delays_by_class(read_trips(path), {"car": "passenger"}, read_people(path)) == {
        "person_delay": pytest.approx(38.3)
    }
