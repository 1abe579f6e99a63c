"""One training run: launch the ranks, build or resume, train, save."""

from __future__ import annotations

import signal
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import torch
from lightning import Fabric

from genreplay.build import build_generator, build_world
from genreplay.common.errors import UserError
from genreplay.common.precision import GENERATOR_SPEEDS
from genreplay.common.progress import Bars, log_above
from genreplay.common.seeding import derive_seed
from genreplay.config.reader import to_yaml
from genreplay.config.schema import ExperimentConfig, TrackingConfig
from genreplay.envs.faults import EnvironmentFault
from genreplay.envs.world import World
from genreplay.generators.distributed.team import Team, make_fabric
from genreplay.runs import checkpoint, labels
from genreplay.runs.tracker import Tracker
from genreplay.training import snapshot
from genreplay.training.assemble import build_parts
from genreplay.training.loop import Loop
from genreplay.training.monitor import Monitor
from genreplay.training.stop import SIGNALS, Stop, Stopped
from genreplay.transitions.codec import Codec


class TrainedRun(NamedTuple):
    """A training run that has ended."""

    run_id: str
    """MLflow's id."""
    checkpoint_dir: Path
    """Folder of its newest checkpoint."""
    complete: bool
    """False where the run was interrupted, and saved."""


def fit(config: ExperimentConfig, resume: Path | None = None, name: str | None = None) -> int:
    """`train` with an exit status: 0 when complete, 130 when interrupted."""
    trained = train(config, resume, name)
    return 0 if trained is None or trained.complete else 130


def train(config: ExperimentConfig, resume: Path | None = None, name: str | None = None) -> TrainedRun | None:
    """Train as `config` says; every rank runs this function.

    Rank 0 trains, the others serve its generator until it ends.

    Args:
        config: the resolved tree.
        resume: folder of a checkpoint to continue from.
        name: of the config file, which names the run with its seed; None to name it by method and environment.

    Returns:
        The run; None on a rank that served the generator.
    """
    if config.fabric.num_threads is not None:
        torch.set_num_threads(config.fabric.num_threads)
    # Read before anything starts, so that a broken checkpoint costs no waiting.
    loaded = None if resume is None else checkpoint.load(resume)
    on, speed = config.fabric, GENERATOR_SPEEDS[config.speed]
    fabric = make_fabric(on.accelerator, on.devices, speed.mixed_precision, on.num_nodes)
    fabric.launch()
    world = build_world(config)
    codec = Codec(world.layout, derive=config.codec.derive)
    generator = build_generator(config, codec)
    with ExitStack() as stack:
        team = None if generator is None else stack.enter_context(Team(fabric, generator))
        if fabric.global_rank == 0:
            return _lead(config, labels.tracking(config, name, world), fabric, world, codec, team, loaded, stack)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # rank 0 decides when an interrupted run ends
        if team is not None:
            team.follow()
    return None


def _lead(
    config: ExperimentConfig,
    tracking: TrackingConfig,
    fabric: Fabric,
    world: World,
    codec: Codec,
    team: Team | None,
    loaded: checkpoint.Checkpoint | None,
    stack: ExitStack,
) -> TrainedRun:
    """The run on rank 0; what has to be closed at its end goes on `stack`."""
    bars = stack.enter_context(Bars(config.loop.num_env_steps))
    stack.enter_context(log_above(bars.console))
    stop = Stop()
    stack.enter_context(stop.listening())
    run_id = None if loaded is None else snapshot.run_id(loaded)
    parts = build_parts(config, fabric, world, codec, team)
    stack.callback(parts.close)
    if loaded is not None:
        snapshot.restore_parts(loaded, parts, config)  # before the run counts as begun
    tracker = stack.enter_context(Tracker.start(tracking, to_yaml(config), run_id))
    if loaded is not None and not loaded.folder.is_dir():
        loaded = checkpoint.load(loaded.folder.parent)  # another process went on with the run until a moment ago
        snapshot.restore_parts(loaded, parts, config)
    bars.line(f"run {tracker.run_id}, checkpoints in {tracker.checkpoint_dir}")
    report = Monitor(bars, tracker, world)
    num_episodes = len(parts.evaluator.seeds)
    with suppress(Stopped), stop.repeatable(), report.evaluating(num_episodes, report.baseline_name) as on_episode:
        report.baseline = parts.evaluator.evaluate_baseline(on_episode)
    loop = Loop(
        config.loop,
        parts,
        report,
        derive_seed(config.seed, "loop"),
        save=lambda loop: snapshot.save(tracker.checkpoint_dir, loop, config, tracker.run_id),
        stop=stop,
    )
    if loaded is not None:
        snapshot.restore(loaded, loop, config)
        bars.line(f"resumed at env step {loop.counters.env_step}")
    complete = _run(loop, tracker.run_id)
    if complete:
        bars.line(f"complete: {report.summary()}; look at it with: genreplay ui")
    else:
        tracker.interrupted()
        bars.line(
            f"stopped and saved at env step {loop.counters.env_step}; go on with: "
            f"genreplay fit --resume {tracker.run_id}"
        )
    return TrainedRun(tracker.run_id, tracker.checkpoint_dir, complete)


def _run(loop: Loop, run_id: str) -> bool:
    """`loop.run()`; a fault of the environment that was saved becomes a UserError which says how to go on."""
    try:
        return loop.run()
    except EnvironmentFault as fault:
        if not loop.counters.env_step:
            raise
        raise UserError(
            f"{fault}; saved at env step {loop.counters.env_step}, go on with: genreplay fit --resume {run_id} "
            f"(loop.max_faults={loop.faults.count + 10} skips up to 10 more such faults)"
        ) from fault
