"""The sections of a study file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from genreplay.common.errors import FieldError, require
from genreplay.config.ranges import require_seeds

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
MEASURES = ("area", "end", "worst", "steps_to_threshold", "seconds_to_threshold")
DIRECTIONS = ("lower", "higher")


@dataclass
class ArmConfig:
    """One arm: an experiment and what it changes there."""

    config: str = MISSING
    """A config file, relative to the study file, or the name of a shipped one."""
    overrides: list[str] = field(default_factory=list)
    """`key=value`, as on the command line; they win over the study's own."""


@dataclass
class PlanConfig:
    """What the study will report, written down before it runs. `genreplay study` shows the metric and runs the rest."""

    metric: str = MISSING
    """Metric of the evaluations, such as `return` or `delay`."""
    measure: str = "area"
    """What is made of an evaluation curve. `area`: its mean; `end`: its last value; `worst`: its worst value;
    `steps_to_threshold`, `seconds_to_threshold`: when it first reaches `threshold`."""
    since_env_step: int = 0
    """First env step of the window."""
    until_env_step: int | None = None
    """Last env step of the window; null: the end of the runs."""
    threshold: float | None = None
    """For `steps_to_threshold` and `seconds_to_threshold`, in the metric's unit."""
    baseline: str = MISSING
    """The arm that the others are compared with."""
    expected: str = MISSING
    """Whether the other arms are expected to have a `lower` or a `higher` measure than the baseline."""

    def __post_init__(self) -> None:
        require(self.measure in MEASURES, "measure", f"must be one of {', '.join(MEASURES)}, not {self.measure!r}")
        require(
            self.expected in (*DIRECTIONS, MISSING),
            "expected",
            f"must be one of {', '.join(DIRECTIONS)}, not {self.expected!r}",
        )
        require(self.since_env_step >= 0, "since_env_step", f"must be at least 0, not {self.since_env_step}")
        require(
            self.until_env_step is None or self.until_env_step > self.since_env_step,
            "until_env_step",
            f"must be above plan.since_env_step ({self.since_env_step}), not {self.until_env_step}",
        )
        needed = self.measure.endswith("threshold")
        require(
            needed == (self.threshold is not None),
            "threshold",
            f"the measure {self.measure} needs one" if needed else f"the measure {self.measure} has none; leave it out",
        )


@dataclass
class StudyConfig:
    """A whole study file."""

    name: str = MISSING
    """Names the study in MLflow and is the experiment of its runs, unless an override names another one."""
    arms: dict[str, ArmConfig] = field(default_factory=dict)
    """By name."""
    overrides: list[str] = field(default_factory=list)
    """`key=value`, for every arm."""
    seeds: list[int] = field(default_factory=list)
    """Training seeds, the same for every arm."""
    retries: int = 2
    """How often a failed cell is tried again, from its checkpoint where it has one."""
    plan: PlanConfig = field(default_factory=PlanConfig)
    launcher: Any = None
    """Where cells run: the dataclass that `launcher.name` picks."""

    def __post_init__(self) -> None:
        for key, names in (("name", [self.name]), ("arms", list(self.arms))):
            for name in names:
                require(
                    NAME.fullmatch(name) is not None,
                    key,
                    f"{name!r} must be letters, digits and . _ + - only, with a letter or a digit first",
                )
        require(len(self.arms) > 0, "arms", "must name at least one arm, such as `pgr: {config: pendulum_pgr}`")
        require(len(self.seeds) > 0, "seeds", "must name at least one training seed, such as [0, 1, 2, 3]")
        require_seeds(self.seeds)
        require(self.retries >= 0, "retries", f"must be at least 0, not {self.retries}")
        if self.plan.baseline not in self.arms:
            raise FieldError(
                "plan.baseline", f"there is no arm {self.plan.baseline!r}; choose one of {', '.join(self.arms)}"
            )


@dataclass
class Resources:
    """What every launcher knows: what one cell asks for, and how many run at a time."""

    SEVERAL_MACHINES = False
    """Whether cells may run on other machines than this one."""

    name: str = "local"
    """Which launcher: `local`, `slurm` or `ray`."""
    cores: int | None = None
    """Cores of one cell; null: as many as its ranks, threads and simulators can use at once."""
    memory_gb: float = 2.0
    """Memory of one cell, in GB."""
    cells: int | None = None
    """Cells at a time; null: as many as there is room for."""

    def __post_init__(self) -> None:
        require(self.cores is None or self.cores >= 1, "cores", f"must be at least 1, or null, not {self.cores}")
        require(self.cells is None or self.cells >= 1, "cells", f"must be at least 1, or null, not {self.cells}")
        require(self.memory_gb > 0, "memory_gb", f"must be above 0, not {self.memory_gb}")


@dataclass
class LocalConfig(Resources):
    """Processes of this machine, each on cores of its own unless `cells` asks for more than the cores hold."""

    name: str = "local"
    """Which one: `local`."""


@dataclass
class SlurmConfig(Resources):
    """Jobs of a SLURM cluster, by submitit (`genreplay[slurm]`): one array, of which `cells` run at a time."""

    SEVERAL_MACHINES = True

    name: str = "slurm"
    """Which one: `slurm`."""
    gpus: int = 0
    """GPUs of one cell."""
    minutes: int = 240
    """Time limit of a job. A cell that reaches it, or that is preempted, saves, is queued again and goes on."""
    requeues: int = 20
    """How often a cell may reach the time limit."""
    partition: str | None = None
    """Partition of the cluster; null: its default."""
    account: str | None = None
    """Account to charge; null: the user's default."""
    cluster: str = "slurm"
    """`slurm`; or `local`, submitit's own stand-in for it on one machine, to try a study out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.gpus >= 0, "gpus", f"must be at least 0, not {self.gpus}")
        require(self.minutes >= 5, "minutes", f"must be at least 5, not {self.minutes}: saving may take 2 of them")
        require(self.requeues >= 0, "requeues", f"must be at least 0, not {self.requeues}")
        require(self.cluster in ("slurm", "local"), "cluster", f"must be one of slurm, local, not {self.cluster!r}")


@dataclass
class RayConfig(Resources):
    """Tasks of a Ray cluster (`genreplay[ray]`). A lost worker's cell goes on elsewhere from its checkpoint."""

    SEVERAL_MACHINES = True

    name: str = "ray"
    """Which one: `ray`."""
    address: str = "auto"
    """`auto`: the cluster that this machine belongs to; or `HOST:PORT` of its head."""
    gpus: float = 0.0
    """GPUs of one cell; two cells with 0.5 share one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.gpus >= 0, "gpus", f"must be at least 0, not {self.gpus}")
        require(bool(self.address.strip()), "address", "must not be empty; write auto, or HOST:PORT of the head")
