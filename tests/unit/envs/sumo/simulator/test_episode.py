from types import SimpleNamespace
from typing import Any, cast

import pytest

from genreplay.envs.sumo.simulator.episode import Episode


class Road:
    """One vehicle stands until second `leaves`."""

    def __init__(self, leaves: int):
        self.second, self.leaves = 0, leaves

    def step(self) -> None:
        self.second += 1

    def is_empty(self) -> bool:
        return self.second >= self.leaves

    def episode(self, **settings: int) -> Episode:
        readings = cast(Any, SimpleNamespace(record=lambda: int(not self.is_empty())))
        return Episode(self.step, readings, None, None, 100, {}, is_cut=True, is_empty=self.is_empty, **settings)


@pytest.mark.parametrize(("runout", "leaves", "end"), [(0, 500, 100), (60, 500, 160), (60, 120, 120), (60, 50, 100)])
def test_a_run_out_ends_with_the_last_vehicle_or_its_bound(runout: int, leaves: int, end: int) -> None:
    episode = Road(leaves).episode(runout=runout)
    episode.run(70)
    assert not episode.is_over
    episode.run(1000)
    assert episode.is_over
    assert episode.elapsed == end
    assert episode.measured_seconds == 100


def test_the_queue_is_measured_between_warm_up_and_run_out() -> None:
    episode = Road(500).episode(warmup=30, runout=60)
    episode.run(1000)
    assert (episode.queue, episode.measured_seconds) == (70, 70)
