"""The Python interface: load a config, train, load what a run left behind, sample and evaluate.

    import genreplay

    config = genreplay.load_config("pendulum_pgr", ["loop.num_env_steps=1500"])
    run = genreplay.train(config)
    policy, generator = genreplay.load_policy(run), genreplay.load_generator(run)
    transitions = generator.sample(1000)
    episodes = genreplay.evaluate(policy, seeds=[101, 102])

Every error that the user can fix is a `UserError` of one line. A run is named by the result of `train`, by the folder
of its checkpoint, by its id or name in the experiment store, or by `last`. `load_policy` takes a published policy too:
its folder, or the name of one that comes with the package, such as `2way`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from genreplay.build import build_world
from genreplay.common.errors import UserError
from genreplay.config.reader import from_yaml
from genreplay.config.reader import load as load_config
from genreplay.config.schema import ExperimentConfig
from genreplay.evaluation.episode_pool import POLICY, EpisodePool, EpisodeSpec
from genreplay.replay.buffers import MixedReplay
from genreplay.runs import checkpoint, find, published, store
from genreplay.runs import generator as generators
from genreplay.runs import policy as policies
from genreplay.runs.generator import LoadedGenerator
from genreplay.runs.policy import LoadedPolicy
from genreplay.runs.state_tree import fitting
from genreplay.training import run as training
from genreplay.training.assemble import build_replay
from genreplay.training.run import TrainedRun

__all__ = ["UserError", "evaluate", "load_buffer", "load_config", "load_generator", "load_policy", "train"]


def train(config: ExperimentConfig) -> TrainedRun:
    """Train as `config` says, with progress on the screen and metrics in MLflow.

    The first Ctrl-C or SIGTERM saves the run and ends it, also in the middle of a fit or an evaluation. With
    `fabric.devices` above 1 the whole script is started once for each device; only the first of these processes returns
    from here.
    """
    trained = training.train(config)
    if trained is None:
        sys.exit(0)
    return trained


def load_policy(run: TrainedRun | Path | str, overrides: Sequence[str] = ()) -> LoadedPolicy:
    """The deterministic policy of a run and its environment.

    Args:
        run: a run, or a published policy. A folder wins over the name of a policy, and that over the name of a run.
        overrides: `key=value` options of the environment.
    """
    if not isinstance(run, TrainedRun):
        folder = Path(run) if Path(run).is_dir() else published.find(str(run))
        if folder is not None and published.is_published(folder):
            return policies.load_policy(folder, overrides)
    return policies.load_policy(_folder(run), overrides)


def load_generator(run: TrainedRun | Path | str) -> LoadedGenerator:
    """The fitted generator of a run; its `sample` gives transitions."""
    return generators.load_generator(_folder(run))


def load_buffer(run: TrainedRun | Path | str) -> MixedReplay:
    """The replay buffer of a run: all its real transitions and the last synthetic ones, on the CPU."""
    loaded = checkpoint.load(_folder(run))
    config = from_yaml(loaded.config_yaml, f"checkpoint {loaded.folder}")
    replay = build_replay(config, build_world(config).layout, "cpu")
    with fitting(loaded.folder, "its buffers are not those of its config"):
        replay.load_state(loaded.buffers)
    return replay


def evaluate(
    policy: LoadedPolicy,
    seeds: Sequence[int] = (101, 102, 103, 104, 105),
    demands: Sequence[str] | None = None,
    num_workers: int = 1,
) -> list[dict[str, float | str]]:
    """Play one episode for each demand and seed.

    Args:
        policy: of `load_policy`.
        seeds: of the episodes. The metrics of an episode depend on its demand and its seed alone.
        demands: names, such as `1500` vehicles/h in traffic; None for the environment's own choice.
        num_workers: simulators to run at the same time.

    Returns:
        One dict for each episode: `demand` (a name), `seed`, `return`, `num_decisions` and the environment's metrics.
    """
    names = [demand.name for demand in policy.world.evaluation.demands(demands)]
    specs = [EpisodeSpec(POLICY, name, seed) for name in names for seed in seeds]
    with EpisodePool(policy.world, policy.policy, num_workers) as pool:
        episodes = [played.figures for played in pool.play(specs)]
    return [
        {"demand": spec.demand, "seed": spec.seed, **episode} for spec, episode in zip(specs, episodes, strict=True)
    ]


def _folder(run: TrainedRun | Path | str) -> Path:
    if isinstance(run, TrainedRun):
        return run.checkpoint_dir
    return find.resolve_run(str(run), store.store_uri(None), checkpoint.exists, "run")
