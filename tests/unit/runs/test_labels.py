"""What runs are called, for every shipped configuration and by hand."""

import json

import pytest
import yaml

from genreplay import config
from genreplay.build import build_world
from genreplay.config.reader import to_yaml
from genreplay.runs import labels
from genreplay.runs.tracker import flatten
from tests.helpers.paths import CONF


def params(name, *overrides):
    return flatten(yaml.safe_load(to_yaml(config.load(str(CONF / f"{name}.yaml"), list(overrides)))))


@pytest.mark.parametrize(
    ("name", "overrides", "method", "world"),
    [
        ("sumo_pgr", [], "PGR", "sumo 2way"),
        ("sumo_synther", [], "SynthER", "sumo 2way"),
        ("sumo_redq", [], "real only", "sumo 2way"),
        ("cologne1_pgr", ["relevance.name=td_error"], "PGR (td_error)", "sumo cologne1"),
        ("overcooked_pgr", [], "PGR (novelty, factorised)", "overcooked cramped_room"),
        ("overcooked_redq", [], "real only", "overcooked cramped_room"),
        ("pendulum_pgr", ["relevance.name=none"], "SynthER", "gymnasium Pendulum-v1"),
    ],
)
def test_shipped_configurations(name, overrides, method, world):
    found = params(name, *overrides)
    assert (labels.method(found), labels.world(found)) == (method, world)


def test_a_map_of_ones_own_is_called_by_its_file():
    assert (
        labels.world({"env.name": "sumo", "env.scenario": "null", "env.net_file": "maps/main.net.xml"}) == "sumo main"
    )


def test_a_run_is_named_by_config_and_seed():
    experiment = config.load(str(CONF / "pendulum_pgr.yaml"), ["seed=3", "tracking.tags={note: x, method: mine}"])
    world = build_world(experiment)
    tracking = labels.tracking(experiment, "pendulum_pgr", world)
    assert tracking.run_name == "pendulum_pgr-seed3"
    assert tracking.tags == {
        "method": "mine",
        "world": "gymnasium Pendulum-v1",
        "primary_metric": "return",
        "better": "higher",
        "metric_units": json.dumps({"return": ""}),
        "note": "x",
    }
    assert labels.tracking(experiment, None, world).run_name == "PGR_gymnasium_Pendulum-v1-seed3"
    experiment.tracking.run_name = "own"
    assert labels.tracking(experiment, "pendulum_pgr", world).run_name == "own"
