"""The columns of a SUMO transition, and the derived ones.

Shapes: N rows, S sections, B approaches, P stages, O observation, A action.
"""

from __future__ import annotations

import torch
from tensordict import TensorDictBase
from torch import Tensor

from genreplay.envs.sumo.actions import SINCE_GREEN_LIMIT, decode_action
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.observation import COUNT_LIMIT, View
from genreplay.envs.sumo.reward import decision_reward
from genreplay.transitions.columns import Column, TransitionLayout, continuous_columns
from genreplay.transitions.keys import ACTION, DURATION, NEXT_OBSERVATION, OBSERVATION, REWARD, TERMINATED, Key


def build_layout(intersection: Intersection, view: View) -> TransitionLayout:
    """The layout of one intersection's transitions."""
    timing = view.timing
    actions = {
        "phase_duration": ["green", *(f"preference {p}" for p in range(timing.num_stages))],
        "duration": ["green"],
        "cycle": [f"green {p}" for p in range(timing.num_stages)],
    }[timing.action_mode]
    return TransitionLayout(
        columns=(
            *_observation_columns(OBSERVATION, "", intersection, view),
            *continuous_columns(ACTION, actions, -1.0, 1.0),
            *_observation_columns(NEXT_OBSERVATION, "next ", intersection, view),
            Column(REWARD, 0, "continuous", "reward", high=0.0, derived=True),
            Column(TERMINATED, 0, "binary", "terminated", derived=True),
            Column(
                DURATION,
                0,
                "continuous",
                "duration",
                low=float(timing.min_greens.min()),
                high=timing.longest_decision,
                resolution=1.0,
                derived=True,
            ),
        ),
        derive=Derive(view),
    )


class Derive:
    """Computes the derived columns: the next signal state, duration, reward, and `terminated`, which is always false.

    Args:
        view: the intersection's observations.
    """

    def __init__(self, view: View):
        self.view = view

    def __call__(self, transitions: TensorDictBase) -> None:
        """Overwrite the derived columns of transitions `[N]`, in place."""
        view, slices = self.view, self.view.slices
        observation = transitions.get(OBSERVATION).double()
        decision = decode_action(view.timing, view.signal(observation), transitions.get(ACTION).double())
        following = transitions.get(NEXT_OBSERVATION)
        signal = view.with_calls(decision.signal, following[:, slices.density].double())
        for part, values in zip(slices[5:], view.signal_entries(signal), strict=True):
            following[:, part] = values.to(following.dtype)
        capacity = torch.from_numpy(view.capacity).to(following.device)
        _fill(transitions, REWARD, decision_reward(view, following.double(), decision.duration, capacity))
        _fill(transitions, DURATION, decision.duration)
        transitions.get(TERMINATED).zero_()


def _fill(transitions: TensorDictBase, key: Key, values: Tensor) -> None:
    target = transitions.get(key)
    target[:, 0] = values.to(target.dtype)


def _observation_columns(key: Key, prefix: str, intersection: Intersection, view: View) -> list[Column]:
    """Columns of an observation, with the grids of counts; the signal part of a next observation is derived."""
    slices, timing, derived = view.slices, view.timing, key == NEXT_OBSERVATION
    sections = [(section.name, 1.0 / section.capacity) for section in intersection.sections]
    phases = range(timing.num_stages)
    backlog_limit = float(view.high[slices.backlog.start])

    def parts(where: slice, entries: list[tuple[str, float]], high: float, derived: bool = False) -> list[Column]:
        return [
            Column(
                key, where.start + i, "continuous", prefix + name, high=high, low=0.0, resolution=grid, derived=derived
            )
            for i, (name, grid) in enumerate(entries)
        ]

    approaches = [approach.name for approach in intersection.approaches]
    return [
        *parts(slices.density, [(f"density {name}", grid) for name, grid in sections], COUNT_LIMIT),
        *parts(slices.queue, [(f"queue {name}", grid) for name, grid in sections], COUNT_LIMIT),
        *parts(slices.time_loss, [(f"time loss {name}", 0.0) for name, _ in sections], COUNT_LIMIT),
        *parts(slices.backlog, [(f"backlog {name}", 0.0) for name in approaches], backlog_limit),
        *parts(slices.mean_backlog, [(f"mean backlog {name}", 0.0) for name in approaches], backlog_limit),
        Column(key, slices.phase.start, "categorical", f"{prefix}phase", width=timing.num_stages, derived=derived),
        *parts(slices.since_green, [(f"since green {p}", 1.0 / SINCE_GREEN_LIMIT) for p in phases], 1.0, derived),
        *parts(slices.last_green, [(f"last green {p}", 1.0 / timing.longest_green) for p in phases], 1.0, derived),
        *parts(slices.waited, [(f"waited for {p}", 1.0 / timing.max_red) for p in phases], 1.0, derived),
    ]
