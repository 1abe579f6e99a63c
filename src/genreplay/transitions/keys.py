"""The keys of a transition in a TensorDict."""

from __future__ import annotations

Key = str | tuple[str, str]

OBSERVATION: Key = "observation"
ACTION: Key = "action"
NEXT_OBSERVATION: Key = ("next", "observation")
REWARD: Key = ("next", "reward")
DURATION: Key = ("next", "duration")
TERMINATED: Key = ("next", "terminated")
TRUNCATED: Key = ("next", "truncated")
DONE: Key = ("next", "done")
FAILED: Key = ("next", "failed")
EXECUTED_ACTION: Key = ("next", "executed_action")
"""What was done in the step, where that may differ from the policy's choice (a partner's action)."""
IS_SYNTHETIC: Key = "is_synthetic"
POSSIBLE: Key = "possible"
"""In the answers of a simulator that is asked (`Oracle.simulate`) alone."""

# With two agents (see `Seats`).
SHAPED_REWARD: Key = ("next", "shaped_reward")
LEARNER: Key = "learner"
PARTNER: Key = "partner"
"""One-hot code of the partner that acted, where an environment has partners."""
EVENT: Key = ("next", "event")
AGENTS_OBSERVATION: Key = ("agents", "observation")
AGENTS_ACTION: Key = ("agents", "action")
AGENTS_PROBABILITY: Key = ("agents", "action_probability")

STORED_KEYS: tuple[Key, ...] = (
    OBSERVATION,
    ACTION,
    NEXT_OBSERVATION,
    REWARD,
    DURATION,
    TERMINATED,
    TRUNCATED,
    DONE,
    IS_SYNTHETIC,
)
"""Keys of a transition in a replay buffer with one agent, real or synthetic."""
