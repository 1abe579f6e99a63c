"""The section `loop`: length of a run and its schedules. No torch here, as in `schema`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from genreplay.common.errors import require
from genreplay.config.ranges import at_least


@dataclass
class LoopConfig:
    """Length of a run and its schedules. Everything is counted in environment steps (decisions)."""

    num_env_steps: int = 3_000
    """Length of the run: real transitions collected."""
    num_workers: int = 1
    """Simulators that collect side by side; each gives one transition a turn."""
    warmup_env_steps: int = 300
    """Random actions, and no updates, until this many transitions are stored."""
    utd_ratio: float = 20.0
    """Update-to-data ratio: critic updates for each environment step."""
    first_refit_env_step: int = 600
    """When the generator is fitted first; 500 to 600 transitions are about the least it can learn from."""
    refit_every_env_steps: int = 600
    """Environment steps from one generator fit to the next."""
    num_synthetic_rows: int = 10_000
    """Transitions sampled after each fit; they replace the synthetic buffer as a whole."""
    resample_every_env_steps: int | None = None
    """Environment steps from one sampling to the next between fits, so that counterfactuals follow the policy; null:
    only after a fit."""
    evaluate_every_env_steps: int = 500
    """Environment steps from one evaluation to the next; the end of the run is always evaluated."""
    checkpoint_every_env_steps: int = 500
    """Environment steps from one checkpoint to the next; the end of the run is always saved."""
    log_every_env_steps: int = 50
    """Environment steps over which logged means are taken."""
    relevance_updates_per_env_step: float = 1.0
    """Training steps of the relevance function for each environment step, on real transitions."""
    max_faults: int = 0
    """Faults of the environment (it raises, ends the program, misses the deadline, or gives what is no finite number)
    that are reported, counted and skipped, each with its episode. The first one above it ends the run, which is saved
    before."""
    decision_deadline: float = 300.0
    """Longest time that the environment may take for a decision, the start of an episode, or, where simulators run in
    processes of their own, from one sign of life to the next, s."""
    overlap_collection: bool = False
    """Let the simulators work on the next decision during the updates of the last one. The policy that makes a decision
    then lacks exactly the updates of one round (num_workers transitions). Only for environments whose simulators run in
    processes of their own, such as sumo."""

    def __post_init__(self) -> None:
        at_least(
            self,
            1,
            "num_env_steps",
            "num_workers",
            "first_refit_env_step",
            "refit_every_env_steps",
            "num_synthetic_rows",
            "evaluate_every_env_steps",
            "checkpoint_every_env_steps",
            "log_every_env_steps",
        )
        at_least(self, 0, "warmup_env_steps", "utd_ratio", "relevance_updates_per_env_step", "max_faults")
        require(
            0 < self.decision_deadline <= 1e6,
            "decision_deadline",
            f"must lie above 0 and be at most 1e6 (s), not {self.decision_deadline}",
        )
        if self.resample_every_env_steps is not None:
            at_least(self, 1, "resample_every_env_steps")
        require(
            self.warmup_env_steps < self.num_env_steps,
            "warmup_env_steps",
            f"must be below loop.num_env_steps ({self.num_env_steps}), not {self.warmup_env_steps}: "
            "a run that only warms up learns nothing",
        )

    @property
    def num_critic_updates(self) -> int:
        """Critic updates of the whole run, up to a block."""
        return round(self.utd_ratio * (self.num_env_steps - self.warmup_env_steps))

    @property
    def num_fits(self) -> int:
        """Fits of the generator, if there is one; none falls on the end of the run."""
        return max(0, math.ceil((self.num_env_steps - self.first_refit_env_step) / self.refit_every_env_steps))
