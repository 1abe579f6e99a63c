"""Columns of a joint transition of two cooks, for replay and generators.

Shapes: N rows, O observation, E kinds of events, P partners.
"""

from __future__ import annotations

import torch
from tensordict import TensorDictBase

from genreplay.envs.overcooked.config import SELF, OvercookedConfig
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS, Kitchen
from genreplay.envs.overcooked.kitchen.state_code import StateCode
from genreplay.transitions.columns import Column, Seats, TransitionLayout
from genreplay.transitions.keys import (
    ACTION,
    DURATION,
    EVENT,
    LEARNER,
    NEXT_OBSERVATION,
    OBSERVATION,
    PARTNER,
    REWARD,
    SHAPED_REWARD,
    TERMINATED,
    Key,
)


def build_layout(kitchen: Kitchen, config: OvercookedConfig) -> TransitionLayout:
    """Columns: the state, both actions, the next state and the event of each cook. Rewards are derived from events.

    Args:
        kitchen: its states and events.
        config: the partners of the training.
    """
    code, num_events = kitchen.code, len(kitchen.event_names)
    learners, num_partners = config.learners, config.num_partners
    both = learners == "both"
    selves = torch.tensor([name == SELF for name in config.partners])
    columns = (
        *_state_columns(OBSERVATION, "", code),
        *(Column(ACTION, i * NUM_ACTIONS, "categorical", f"action {i}", NUM_ACTIONS) for i in (0, 1)),
        *_state_columns(NEXT_OBSERVATION, "next ", code),
        *(Column(EVENT, i * num_events, "categorical", f"event {i}", num_events) for i in (0, 1)),
        Column(PARTNER, 0, "categorical", "partner", num_partners, derived=num_partners == 1),
        # The seat that learns is a choice of two; where both do, nothing is left to choose. Where the partner decides,
        # rows in which both do hold the first seat (the argmax) to a generator, and `derive` puts the second one back.
        Column(LEARNER, 0, "binary" if both else "categorical", "learner", 2, low=0.0, high=1.0, derived=both),
        Column(REWARD, 0, "continuous", "reward", derived=True),
        Column(SHAPED_REWARD, 0, "continuous", "shaped reward", 2, derived=True),
        Column(DURATION, 0, "continuous", "duration", low=1.0, high=1.0, derived=True),
        Column(TERMINATED, 0, "binary", "terminated", derived=True),
    )
    sparse, shaped = torch.from_numpy(kitchen.sparse_rewards), torch.from_numpy(kitchen.shaped_rewards)

    def derive(transitions: TensorDictBase) -> None:
        events = transitions.get(EVENT).unflatten(-1, (2, num_events))
        transitions.set(REWARD, (events @ sparse.to(events.device)).sum(-1, keepdim=True))
        transitions.set(SHAPED_REWARD, events @ shaped.to(events.device))
        transitions.get(DURATION).fill_(1.0)
        transitions.get(TERMINATED).fill_(0.0)
        if both:
            transitions.get(LEARNER).fill_(1.0)
        if num_partners == 1:
            transitions.get(PARTNER).fill_(1.0)
        if learners == "any":
            with_self = (transitions.get(PARTNER) * selves.to(events.device)).sum(-1, keepdim=True)
            transitions.set(LEARNER, torch.maximum(transitions.get(LEARNER), with_self))

    seats = Seats(torch.from_numpy(code.permutation), NUM_ACTIONS, learners)
    return TransitionLayout(columns, derive, seats)


def _state_columns(key: Key, prefix: str, code: StateCode) -> list[Column]:
    places = zip(code.offsets.tolist(), code.names, code.sizes.tolist(), strict=True)
    return [Column(key, start, "categorical", f"{prefix}{name}", width) for start, name, width in places]
