"""The columns of a SUMO transition, and the derived ones.

Shapes: N rows, S sections, P stages, O observation, A action.

The reward is derived where the observation shows what vehicles lose, and generated where detectors show less.
"""

from __future__ import annotations

import torch
from tensordict import TensorDictBase
from torch import Tensor

from genreplay.envs.sumo.actions import decode_action, ended_after
from genreplay.envs.sumo.baselines import queue_rule
from genreplay.envs.sumo.observation import SIGNAL_PARTS, View
from genreplay.envs.sumo.reward import decision_reward, shows_reward
from genreplay.envs.sumo.signals.timing import NUMBERS, WITH_CHOICE, Timing
from genreplay.transitions.columns import ActionRule, Column, TransitionLayout, continuous_columns
from genreplay.transitions.keys import ACTION, DURATION, NEXT_OBSERVATION, OBSERVATION, REWARD, TERMINATED, Key


def build_layout(view: View) -> TransitionLayout:
    """The layout of one intersection's transitions."""
    timing = view.timing
    return TransitionLayout(
        columns=(
            *_observation_columns(OBSERVATION, "", view),
            *_action_columns(timing),
            *_observation_columns(NEXT_OBSERVATION, "next ", view),
            Column(REWARD, 0, "continuous", "reward", high=0.0, derived=shows_reward(view)),
            Column(TERMINATED, 0, "binary", "terminated", derived=True),
            Column(
                DURATION,
                0,
                "continuous",
                "duration",
                low=float(timing.min_greens.min()),
                high=timing.longest_decision,
                resolution=1.0,
                derived=timing.action_mode != "actuated",
            ),
        ),
        derive=Derive(view),
        reward_accrues=True,
        rule=_rule(view),
    )


def _rule(view: View) -> ActionRule | None:
    """The queue rule, where an action has a choice and the sensors show queues."""
    weights = queue_rule.preference(view) if view.timing.action_mode in WITH_CHOICE else None
    if weights is None:
        return None
    return ActionRule(torch.from_numpy(weights), torch.tensor(queue_rule.NUMBERS[view.timing.action_mode]))


def _action_columns(timing: Timing) -> list[Column]:
    numbers, stages = NUMBERS.get(timing.action_mode, ()), range(timing.num_stages)
    if timing.action_mode in WITH_CHOICE:
        choice = Column(ACTION, len(numbers), "categorical", "stage", width=timing.num_stages)
        return [*continuous_columns(ACTION, list(numbers), -1.0, 1.0), choice]
    of_stages = {
        "phase_duration": [f"preference {p}" for p in stages],
        "duration": [],
        "cycle": [f"green {p}" for p in stages],
    }[timing.action_mode]
    return continuous_columns(ACTION, [*numbers, *of_stages], -1.0, 1.0)


class Derive:
    """Computes the derived columns: the next signal state, duration, `terminated`, which is always false, and the
    reward where the observation shows it. The duration of an actuated green is brought into its bounds.

    Args:
        view: the intersection's observations.
    """

    def __init__(self, view: View):
        self.view = view

    def __call__(self, transitions: TensorDictBase) -> None:
        """Overwrite the derived columns of transitions `[N]`, in place."""
        view = self.view
        observation = transitions.get(OBSERVATION).double()
        now = view.signal(observation)
        decision = decode_action(view.timing, now, transitions.get(ACTION).double())
        if view.timing.action_mode == "actuated":
            decision = ended_after(view.timing, now, decision, transitions.get(DURATION)[:, 0].double())
        following = transitions.get(NEXT_OBSERVATION)
        signal = view.with_calls(decision.signal, following[:, view.calling].double())
        for name, values in zip(SIGNAL_PARTS, view.signal_entries(signal), strict=True):
            following[:, view.slices[name]] = values.to(following.dtype)
        if shows_reward(view):
            capacity = torch.from_numpy(view.capacity).to(following.device)
            _fill(transitions, REWARD, decision_reward(view, following.double(), decision.duration, capacity))
        _fill(transitions, DURATION, decision.duration)
        transitions.get(TERMINATED).zero_()


def _fill(transitions: TensorDictBase, key: Key, values: Tensor) -> None:
    target = transitions.get(key)
    target[:, 0] = values.to(target.dtype)


def _observation_columns(key: Key, prefix: str, view: View) -> list[Column]:
    """Columns of an observation, with the grids of counts; the signal part of a next observation is derived."""
    columns: list[Column] = []
    for part in view.parts:
        start, name = view.slices[part.quantity].start, part.quantity.replace("_", " ")
        derived = key == NEXT_OBSERVATION and part.quantity in SIGNAL_PARTS
        if part.quantity == "phase":
            columns.append(Column(key, start, "categorical", prefix + name, width=len(part.places), derived=derived))
            continue
        columns += [
            Column(
                key,
                start + i,
                "continuous",
                f"{prefix}{name} {place}",
                low=0.0,
                high=float(view.high[start]),
                resolution=float(part.grid / part.scales[i]),
                derived=derived,
            )
            for i, place in enumerate(part.places)
        ]
    return columns
