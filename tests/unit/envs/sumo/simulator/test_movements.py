import pytest

from genreplay.envs.sumo.simulator.meter import Passage
from genreplay.envs.sumo.simulator.movements import control_delay

WHOLE_TRIP = {"a": (40.0, 25.0)}
"""40 s lost on the road, 25 s of waiting to enter."""


@pytest.mark.parametrize(
    ("passage", "delay"),
    [
        (Passage("a", 0, 0, entry_loss=10.0, exit_loss=32.0, enters_here=False), 22.0),
        (Passage("a", 0, 0, exit_loss=32.0), 32.0 + 25.0),
        # Gone within 10 s after the stop line, or still before it: what the whole trip lost.
        (Passage("a", 0, 0, entry_loss=10.0, enters_here=False), 30.0),
        (Passage("a", 0, 0), 40.0 + 25.0),
    ],
)
def test_control_delay_by_hand(passage: Passage, delay: float) -> None:
    assert control_delay(passage, WHOLE_TRIP) == delay
