"""The reward of traffic-signal control, computed from what `full` sensors see: the same for the
simulator and generated rows.

Shapes: N rows, S sections, O observation.

Time loss is the quantity that SUMO's timeLoss sums: in one second a vehicle at speed v loses 1 - v / limit seconds.
Queues alone would leave out the cost of braking and starting, which at low flow is most of the delay.
"""

from __future__ import annotations

from genreplay.envs.sumo.actions import Array
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.sensors.full import BACKLOG_SCALE

REWARD_SCALE = 0.01
"""The reward for one second that one vehicle loses is minus this, 1/vehicle-seconds."""


def shows_reward(view: View) -> bool:
    """Whether observations show what vehicles lose; where detectors show less, only the simulator can measure it."""
    return "time_loss" in view.slices


def decision_reward(view: View, next_observation: Array, duration: Array, capacity: Array) -> Array:
    """Minus the vehicle-seconds lost over a decision, scaled: `[N]` from `[N, O]` and seconds `[N]`.

    `view` shows the reward, and `capacity` is `View.capacity` as the same kind of array, `[S]`.
    """
    lost = (next_observation[:, view.slices["time_loss"]] * capacity).sum(-1)
    backlog = (next_observation[:, view.slices["mean_backlog"]] ** 2).sum(-1) * BACKLOG_SCALE
    return -REWARD_SCALE * (lost + backlog) * duration
