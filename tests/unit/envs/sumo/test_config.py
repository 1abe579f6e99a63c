import pytest

from genreplay.common.errors import FieldError
from genreplay.envs.sumo.config import DemandConfig, SumoConfig
from tests.helpers.refusal import refusal


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (
            SumoConfig,
            {"scenario": "2way", "net_file": "mine.net.xml"},
            "net_file: scenario '2way' has a map already; set scenario: null to use your own, or drop net_file",
        ),
        (
            SumoConfig,
            {"additional_files": ["stops.add.xml"]},
            "additional_files: belongs to net_file; set net_file too (and scenario: null), or drop additional_files",
        ),
        (
            SumoConfig,
            {"route_file": "mine.rou.xml"},
            "route_file: belongs to net_file; set net_file too (and scenario: null), or drop route_file",
        ),
        (
            SumoConfig,
            {"action_mode": "split"},
            "action_mode: must be one of actuated, stage_duration, phase_duration, duration, cycle, not 'split'",
        ),
        (
            SumoConfig,
            {"min_green": 10, "max_green": 9},
            "max_green: must be at least min_green (10), not 9",
        ),
        (SumoConfig, {"sensors": "radar"}, "sensors: must be one of full, zones, loops, not 'radar'"),
        (
            SumoConfig,
            {"sensors": "loops", "sensor_failures": 1.5},
            "sensor_failures: must lie between 0 and 1, not 1.5",
        ),
        (
            SumoConfig,
            {"sensor_failures": 0.1},
            "sensor_failures: has no effect with sensors: full, which has no detectors; set sensors to zones or loops, "
            "or this to 0",
        ),
        (SumoConfig, {"backend": "sumo"}, "backend: must be one of libsumo, traci, not 'sumo'"),
        (SumoConfig, {"yellow_time": 0}, "yellow_time: must be at least 1 s, or null for the map's own, not 0"),
        (
            SumoConfig,
            {"junction_blocker_seconds": 0},
            "junction_blocker_seconds: must be at least 1 s, or -1 for never, not 0",
        ),
        (SumoConfig, {"warmup_seconds": -1}, "warmup_seconds: must be at least 0 s, not -1"),
        (SumoConfig, {"runout_seconds": -1}, "runout_seconds: must be at least 0 s, not -1"),
        (
            DemandConfig,
            {"flow_range": [2000.0, 1000.0]},
            "flow_range: must be [smallest, largest] with 1 <= smallest <= largest, not [2000.0, 1000.0]",
        ),
        (DemandConfig, {"evaluation_scales": []}, "evaluation_scales: must be a list of positive numbers, not []"),
    ],
)
def test_settings_that_cannot_work(config, settings, message):
    assert refusal(lambda: config(**settings), FieldError) == message
