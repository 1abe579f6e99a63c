"""What a training run prints where there is no terminal."""

import io
import json
import math
import re
from collections.abc import Iterator

import pytest
import torch
from rich.console import Console

from genreplay.build import build_world
from genreplay.common.progress import Bars
from genreplay.config.reader import from_yaml
from genreplay.config.schema import TrackingConfig
from genreplay.runs.tracker import Tracker
from genreplay.training.monitor import Monitor
from genreplay.training.schedule import Counters

PENDULUM = "env: {name: gymnasium, id: Pendulum-v1, max_episode_steps: 5}\n"


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    store = TrackingConfig(uri=f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db")
    with Tracker.start(store, PENDULUM) as tracker:
        yield tracker


@pytest.fixture
def monitored(tracker: Tracker) -> tuple[Monitor, io.StringIO]:
    screen = io.StringIO()
    bars = Bars(6000, Console(file=screen, highlight=False))
    return Monitor(bars, tracker, build_world(from_yaml(PENDULUM, "test"))), screen


def test_a_log_line_says_how_far_the_run_is_and_what_it_does(monitored: tuple[Monitor, io.StringIO]) -> None:
    monitor, screen = monitored
    counters = Counters(env_step=50)
    monitor.collected(counters, [])
    monitor.log(counters)
    assert screen.getvalue() == "env step 50 of 6000\n"
    counters.env_step, counters.gradient_step = 100, 1000
    for reward, loss in ((-12.0, 0.3), (0.0, 0.5)):
        monitor.collected(counters, [{"return": reward, "seed": 1.0}])
        monitor.updated("agent", {"critic_loss": loss})
    monitor.log(counters)
    line = r"env step 100 of 6000, \d+ s left: training return -6\.0, critic loss 0\.4, \d+ updates/s"
    assert re.fullmatch(line, screen.getvalue().splitlines()[-1])
    monitor.collected(counters, [{"return": 0.0, "seed": 1.0}])
    monitor.log(counters)
    assert screen.getvalue().splitlines()[-1].endswith(" left: training return 0.0"), "0 is a return too"
    assert monitor.summary() == "not evaluated yet"


def test_a_resumed_run_logs_the_means_of_all_that_came_since_the_last_log(
    monitored: tuple[Monitor, io.StringIO], tracker: Tracker
) -> None:
    first, screen = monitored
    for loss in (1.0, 3.0):
        first.updated("agent", {"critic_loss": torch.tensor(loss)})
    state = json.loads(json.dumps(first.state_dict()))
    resumed = Monitor(first.bars, tracker, first.world)
    resumed.updated("agent", {"critic_loss": 100.0})
    resumed.load_state_dict(state)
    resumed.updated("agent", {"critic_loss": torch.tensor(8.0)})
    resumed.log(Counters(env_step=200))
    assert screen.getvalue() == "env step 200 of 6000: critic loss 4\n"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_named_before_it_is_logged(
    value: float, monitored: tuple[Monitor, io.StringIO]
) -> None:
    monitor, _ = monitored
    monitor.updated("agent", {"critic_loss": 0.1, "critic_loss_synthetic": math.nan})
    assert monitor.diverged() == ""
    monitor.updated("relevance", {"forward_loss": value})
    monitor.updated("agent", {"critic_loss": 0.1})
    assert monitor.diverged() == "relevance: the forward loss"
