"""Sections that every experiment has, and checks across sections.

The four parts (`env`, `agent`, `generator`, `relevance`) have their dataclasses in their own packages; `config.load`
puts in the one that `<part>.name` picks. No torch here: config errors must answer at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from genreplay import registry
from genreplay.common.errors import NoEffect, require
from genreplay.config.loop import LoopConfig as LoopConfig
from genreplay.config.ranges import at_least, one_of, require_seeds

DEFAULT_PARTS = {"env": "sumo", "agent": "redq_sac", "generator": "none", "relevance": "none"}
"""The parts of a run whose files name none."""

ACCELERATORS = ("auto", "cpu", "cuda")
STORAGES = ("memory", "memmap")
SPEEDS = ("exact", "default", "fast")
SOURCES = ("generated", "counterfactual", "oracle")


@dataclass
class CodecConfig:
    """How transitions become generator rows and back."""

    derive: bool = True
    """Compute the columns that the environment's definitions fix; false generates every column, as SynthER and PGR
    do."""


@dataclass
class ReplayConfig:
    """The real and the synthetic buffer, and the batches drawn from them."""

    capacity: int = 100_000
    """Real transitions kept; beyond it the oldest are overwritten."""
    synthetic_fraction: float | None = None
    """Share of synthetic rows in every batch, in [0, 1), once there are any; null: 0.5 with a generator, 0 without."""
    batch_size: int = 256
    """Rows of one critic update, and of one relevance update."""
    storage: str = "memory"
    """`memory`: of the device that trains; or `memmap` for buffers larger than that, in files."""

    def __post_init__(self) -> None:
        at_least(self, 1, "capacity", "batch_size")
        share = self.synthetic_fraction
        require(share is None or 0 <= share < 1, "synthetic_fraction", f"must lie in [0, 1), not {share}")
        one_of(self, STORAGES, "storage")


@dataclass
class SynthesisConfig:
    """How synthetic transitions come from the generator, and which of them the agent sees."""

    NO_EFFECT = (
        NoEffect(
            ("synthesis.rollout_length",),
            lambda synthesis: synthesis.source == "generated",
            "synthesis.source is generated: whole rows, each for itself; write counterfactual",
        ),
    )

    source: str = "generated"
    """`generated`: whole transitions that the generator samples. `counterfactual`: real states, new actions of the
    policy, and outcomes that the generator predicts. `oracle`: the same with the simulator's outcomes, where the
    environment can simulate; an upper bound."""
    min_confidence: float = 0.0
    """Keep the rows whose outcome has at least this probability under the generator, in [0, 1]; only for generators
    with confidence, such as `factorised`. Real rows take the place of the others."""
    require_agreement: bool = False
    """Keep only rows on which all members of the generator's ensemble agree; likewise."""
    swap_seats: bool = False
    """Fit the generator to every joint transition of two players twice: as it is, and with the players swapped."""
    rollout_length: int = 1
    """Steps from each real state, each from the outcome of the last one; not for `generated` rows. With a partner the
    generator predicts the partner's next actions."""

    def __post_init__(self) -> None:
        one_of(self, SOURCES, "source")
        require(0 <= self.min_confidence <= 1, "min_confidence", f"must lie in [0, 1], not {self.min_confidence}")
        require(self.rollout_length >= 1, "rollout_length", f"must be at least 1, not {self.rollout_length}")

    @property
    def filters(self) -> bool:
        """Whether some rows may be left out."""
        return self.min_confidence > 0 or self.require_agreement


@dataclass
class EvaluationConfig:
    """Episodes of the evaluations during training, of the policy and of the baseline."""

    num_workers: int = 1
    """Simulators that evaluate side by side, in addition to those that collect."""
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    """One episode for each seed, the same at every evaluation; collection never uses them."""

    def __post_init__(self) -> None:
        at_least(self, 1, "num_workers")
        require(len(self.seeds) > 0, "seeds", "must name at least one episode, such as [1, 2, 3]")
        require_seeds(self.seeds)


@dataclass
class FabricConfig:
    """Devices and threads of Lightning Fabric."""

    accelerator: str = "auto"
    """`auto` takes a GPU where there is one; `cpu`; `cuda`."""
    devices: int = 1
    """Processes on each machine that fit and sample the generator together, one on each GPU, or all on the CPU."""
    num_nodes: int = 1
    """Machines; start the same command on each, with MASTER_ADDR and MASTER_PORT of the first and its own NODE_RANK."""
    num_threads: int | None = 1
    """CPU threads of each process; null for torch's own choice. With networks this small a second thread makes
    updates 1.3 times as fast on an idle machine, and several times slower where another process wants its core."""

    def __post_init__(self) -> None:
        one_of(self, ACCELERATORS, "accelerator")
        at_least(self, 1, "devices", "num_nodes")
        require(
            self.num_threads is None or self.num_threads >= 1,
            "num_threads",
            f"must be at least 1, or null for torch's own choice, not {self.num_threads}",
        )


@dataclass
class TrackingConfig:
    """The experiment store."""

    uri: str | None = None
    """MLflow's tracking URI; where it is null, MLFLOW_TRACKING_URI, else sqlite:///mlruns/mlflow.db."""
    experiment: str = "genreplay"
    """MLflow experiment, created where there is none."""
    run_name: str | None = None
    """Name of the run; null: the config file and the seed, such as `sumo_pgr-seed0`."""
    tags: dict[str, str] = field(default_factory=dict)
    """MLflow tags of the run, such as `{note: with the new map}`."""

    def __post_init__(self) -> None:
        require(bool(self.experiment.strip()), "experiment", "must not be empty; write a name such as genreplay")
        require(
            self.uri is None or "://" in self.uri,
            "uri",
            "must be a URI such as sqlite:///mlruns/mlflow.db or http://host:5000, not "
            f"{(self.uri or '').rpartition('@')[2]!r}",
        )
        require(
            self.uri is None or not self.uri.startswith("file:"),
            "uri",
            "MLflow no longer writes to a folder of files; write sqlite:///mlruns/mlflow.db",
        )


@dataclass
class ExperimentConfig:
    """One run, fully resolved; `genreplay config` prints it, MLflow and checkpoints keep it."""

    seed: int = 0
    """Seed of everything random."""
    speed: str = "default"
    """`exact`: fp32 everywhere, nothing compiled. `default`: fp32 for the agent, bfloat16 products for the generator
    where the hardware has them; runs long enough to repay it compile their updates, on a CPU with a C++ compiler.
    `fast`: bfloat16 products for both, and compiled updates in any run (needs a C++ compiler; the first update takes
    up to some minutes)."""
    env: Any = None
    """The environment: the dataclass that `env.name` picks."""
    agent: Any = None
    """The learner: the dataclass that `agent.name` picks."""
    generator: Any = None
    """The source of synthetic transitions: the dataclass that `generator.name` picks."""
    relevance: Any = None
    """The condition that steers the generator: the dataclass that `relevance.name` picks."""
    codec: CodecConfig = field(default_factory=CodecConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    fabric: FabricConfig = field(default_factory=FabricConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**31, "seed", f"must lie in [0, 2**31), not {self.seed}")
        one_of(self, SPEEDS, "speed")
        require(
            self.replay.batch_size <= self.replay.capacity,
            "replay.batch_size",
            f"must be at most replay.capacity ({self.replay.capacity}), not {self.replay.batch_size}",
        )
        if self.replay.synthetic_fraction is None:
            self.replay.synthetic_fraction = 0.5 if self.has("generator") else 0.0
        if not self.has("generator"):
            require(
                not self.has("relevance"),
                "relevance.name",
                f"{self.relevance.name!r} steers a generator, and generator.name is {self.generator.name!r}; "
                "write relevance.name: none, or name a generator such as edm",
            )
            require(
                self.replay.synthetic_fraction == 0,
                "replay.synthetic_fraction",
                f"{self.replay.synthetic_fraction} needs synthetic rows, and generator.name is "
                f"{self.generator.name!r}; write 0, or name a generator such as edm",
            )
        else:
            require(
                self.loop.first_refit_env_step < self.loop.num_env_steps,
                "loop.first_refit_env_step",
                f"must be below loop.num_env_steps ({self.loop.num_env_steps}), not "
                f"{self.loop.first_refit_env_step}: the generator {self.generator.name!r} would never be fitted",
            )

    def has(self, kind: str) -> bool:
        """Whether there is a part of this kind: its name is not `none`."""
        return registry.entry(kind, getattr(self, kind).name).part_path is not None
