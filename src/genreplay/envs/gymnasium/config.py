"""Configuration of Gymnasium environments."""

from __future__ import annotations

from dataclasses import dataclass

from genreplay.common.errors import require


@dataclass
class GymnasiumConfig:
    """Any Gymnasium environment with a flat observation and continuous actions."""

    FACTS = (("task", "id"),)
    """Options that a report shows first, by label; the first one that is set names the environment."""
    name: str = "gymnasium"
    id: str = "Pendulum-v1"
    """The environment's id in Gymnasium's registry; `module:Name-v0` imports `module` first."""
    max_episode_steps: int | None = None
    """Decisions after which an episode is cut off (truncated); null for the environment's own limit."""

    @property
    def module(self) -> str | None:
        """What `id` imports; None where it names no module."""
        return self.id.rpartition(":")[0] or None

    def __post_init__(self) -> None:
        require(bool(self.id.strip()), "id", "name an environment of Gymnasium, such as Pendulum-v1")
        require(
            self.max_episode_steps is None or self.max_episode_steps >= 1,
            "max_episode_steps",
            f"must be at least 1, or null for the environment's own limit, not {self.max_episode_steps}",
        )
