"""Whole episodes under a baseline: a rule, the queue rule, or a programme that SUMO runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genreplay.envs.sumo.actions import admit, show
from genreplay.envs.sumo.baselines.queue_rule import ActuatedQueue
from genreplay.envs.sumo.baselines.rules import Rule

if TYPE_CHECKING:
    from genreplay.envs.sumo.simulator.simulator import Simulator

CHECK_SECONDS = 60
"""How often the limit of an episode is checked, s."""


def follow_rule(simulator: Simulator, rule: Rule) -> None:
    """Let a rule decide to the end of the episode, within the bounds of a policy's greens and of `max_red`."""
    episode, timing = simulator.episode, simulator.timing
    simulator.carry_out(show(timing, simulator.signal, np.array([0]), timing.min_greens[:1]))
    while not episode.is_over:
        episode.clear()
        choice = rule(simulator.detectors, simulator.light.shown)
        wanted = -np.argsort(choice.order)[None].astype(np.float64)  # the first stage most
        shown = simulator.signal.phase
        shortest = (1.0 - shown) * timing.min_greens + shown * min(choice.seconds, timing.min_greens[shown.argmax()])
        number, limit = admit(timing, simulator.signal, wanted, shortest)
        seconds = np.clip(float(choice.seconds), shortest[0, number], limit)
        simulator.carry_out(show(timing, simulator.signal, number, seconds))


def follow_queues(simulator: Simulator, rule: ActuatedQueue) -> None:
    """Let the queue rule decide to the end of the episode, as a policy of actuated greens would."""
    while not simulator.episode.is_over:
        action = rule(simulator.episode.readings.values(), simulator.signal)
        simulator.act(rule.timing, action[None])


def run_programme(simulator: Simulator, most_queue: float) -> bool:
    """Let SUMO run its programme to the end of the episode; False where it stopped before, above `most_queue`.

    Args:
        simulator: the episode has begun.
        most_queue: of vehicles that stand or wait to enter, vehicle-seconds.
    """
    episode = simulator.episode
    while not episode.is_over:
        episode.clear()
        episode.run(CHECK_SECONDS)
        if episode.queue > most_queue and not episode.warmup:
            return False
    return True
