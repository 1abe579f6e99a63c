"""The command `genreplay evaluate`: play a policy and baselines on the same episodes, and keep the results."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genreplay.commands.options import (
    add_command,
    add_policy,
    checkpoint_folder,
    named_uri,
    number,
    run_folder,
    seeds,
    words,
)
from genreplay.common.files import make_folder
from genreplay.common.scratch import Scratch
from genreplay.envs.sumo.config import scenario_overrides

if TYPE_CHECKING:
    from rich.console import Console
    from tensordict.nn import TensorDictModule

    from genreplay.config.schema import ExperimentConfig
    from genreplay.envs.world import World
    from genreplay.evaluation.finished import FinishedEpisodes
    from genreplay.evaluation.plan import Searched
    from genreplay.evaluation.result import EvaluationResult

SCREEN_WIDTH = 160
"""Columns of the tables where the output is no terminal."""

SEEDS = "101-105"

log = logging.getLogger("genreplay")


class Subject(NamedTuple):
    """What the command line names."""

    config: ExperimentConfig
    world: World
    policy: TensorDictModule | None
    run_id: str | None
    """Of the run whose artifacts the results become."""
    env_step: int | None


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The command's options."""
    about = (
        "Play a trained policy and the baselines on the same episodes; print the primary metric of each demand, and "
        "keep tables and figures among the run's artifacts. See docs/evaluation.md."
    )
    command = add_command(commands, run, "compare a policy with baselines", about)
    whom = add_policy(command)
    whom.add_argument("--config", metavar="FILE", help="no policy: the baselines alone, in this experiment")
    demand = (
        "such as 1000,1500,2600,tidal,surge,other_day (vehicles/h), or 0.75,1,1.25 (factors on a route file); "
        "default: inside and outside the range of training"
    )
    command.add_argument("--demand", metavar="LIST", help=demand)
    command.add_argument("--scenario", metavar="NAME", help="use this map instead of the experiment's")
    command.add_argument(
        "--seeds", metavar="LIST", default=SEEDS, help="one episode each, for each demand; default: %(default)s"
    )
    command.add_argument("--baselines", metavar="LIST", help="names, or none; default: all")
    command.add_argument("--workers", metavar="N", type=number(1), help="simulators at a time; default: one per core")
    command.add_argument("--output", metavar="DIR", help="keep tables and figures here too")


def defaults(checkpoint: Path, output: Path) -> argparse.Namespace:
    """What `run` takes to evaluate a checkpoint with the default of every other option."""
    left_out = dict.fromkeys(("run", "config", "demand", "scenario", "baselines", "workers"))
    return argparse.Namespace(checkpoint=str(checkpoint), output=str(output), seeds=SEEDS, overrides=[], **left_out)


def run(arguments: argparse.Namespace) -> int:
    """Play every episode, print the tables and keep the results; the exit status."""
    subject = _subject(arguments)
    from rich.console import Console

    from genreplay import config
    from genreplay.evaluation.plan import Plan, evaluate, search_costs, select_baselines
    from genreplay.runs import store

    world = subject.world
    output = None if arguments.output is None else Path(arguments.output)
    if output is not None:
        make_folder(output)  # before the work, not after it
    plan = Plan(
        world,
        subject.policy,
        world.evaluation.demands(words(arguments.demand)),
        seeds(arguments.seeds),
        select_baselines(world, [] if arguments.baselines == "none" else words(arguments.baselines)),
        arguments.workers or os.cpu_count() or 1,
        _finished(subject, output),
    )
    with _terminated_as_interrupted():
        result, searched = evaluate(plan)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=SCREEN_WIDTH)
    _show(result, searched, console)
    about: dict[str, Any] = {} if subject.run_id is None else {"run_id": subject.run_id}
    about |= {} if subject.env_step is None else {"env_step": subject.env_step}
    about |= {"config": config.to_yaml(subject.config), "seeds": list(plan.seeds), "searches": search_costs(searched)}
    with Scratch("evaluation") as folder:
        _write(Path(folder), result, about)
        _keep(Path(folder), output, subject.run_id, store.store_uri(subject.config.tracking.uri))
    plan.finished.forget()
    return 0


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does, so that simulators and their files are cleared away."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        log.warning("evaluate: stopped; start the same command again to go on from the finished episodes")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _finished(subject: Subject, output: Path | None) -> FinishedEpisodes:
    """The episodes that an evaluation finished before it was stopped: in `output`, else among the run's artifacts, else
    in the folder of the default store.
    """
    from genreplay.evaluation.finished import FinishedEpisodes
    from genreplay.evaluation.result import FOLDER
    from genreplay.runs import store
    from genreplay.runs.identity import identity

    folder = output
    if folder is None:
        of_run = None
        if subject.run_id is not None:
            of_run = store.artifacts_on_disk(store.store_uri(subject.config.tracking.uri), subject.run_id)
        folder = (of_run or store.LOCAL_FOLDER) / FOLDER
    return FinishedEpisodes(folder, identity(subject.config, subject.policy))


def _subject(arguments: argparse.Namespace) -> Subject:
    overrides = [*arguments.overrides]
    if arguments.scenario is not None:
        overrides = [*scenario_overrides(arguments.scenario), *overrides]
    if arguments.config is not None:
        from genreplay import config

        experiment = config.load(arguments.config, overrides)
        from genreplay.build import build_world

        return Subject(experiment, build_world(experiment), None, None, None)
    from genreplay.runs import store
    from genreplay.runs.policy import load_policy

    if arguments.checkpoint is not None:
        folder = checkpoint_folder(arguments.checkpoint)
    else:
        folder = run_folder(arguments.run, named_uri(arguments.overrides))
    loaded = load_policy(folder, overrides)
    if named_uri(arguments.overrides) is None:
        loaded.config.tracking.uri = store.store_of(folder, loaded.config.tracking.uri)
    return Subject(loaded.config, loaded.world, loaded.policy, loaded.run_id, loaded.env_step)


def _show(result: EvaluationResult, searched: Searched, console: Console) -> None:
    from genreplay.evaluation.plan import search_costs
    from genreplay.evaluation.tables import tables

    *first, figures_table = tables(result)
    for table in first:
        console.print(table)
    if any(not demand.in_range for demand in result.demands):
        console.print("* unseen: outside the range that training draws from")
    _print_worst(result, console)
    console.print(figures_table)
    for baseline, cost in search_costs(searched).items():
        console.print(
            f"{baseline}: searched for each demand with {cost['num_tried']} candidates in all, "
            f"{cost['num_episodes']} episodes (the hopeless ones given up on the way), "
            f"{cost['simulated_seconds']:,.0f} simulated seconds"
        )


def _print_worst(result: EvaluationResult, console: Console) -> None:
    """The policy's worst episode compared with the best baseline of that episode, in one line."""
    from genreplay.evaluation.ratios import ratios, sentence

    if compared := ratios(result):
        console.print(sentence(compared, result.primary_metric), soft_wrap=True)


def _write(folder: Path, result: EvaluationResult, about: Mapping[str, Any]) -> None:
    from rich.console import Console

    from genreplay.common.text import plain, with_unit
    from genreplay.evaluation.files import write_episodes, write_greens, write_parts, write_summary
    from genreplay.evaluation.greens import NAME
    from genreplay.evaluation.tables import tables
    from genreplay.reporting import figures

    write_episodes(result, folder / "episodes.csv")
    write_summary(result, folder / "summary.csv")
    if result.parts:
        write_parts(result, folder / f"{result.parts_name}.csv")
    if result.greens:
        write_greens(result, folder / f"{NAME}.csv")
        figures.greens(result.shown_greens()).savefig(folder / f"{NAME}.png", dpi=150)
    (folder / "evaluation.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    with (folder / "tables.txt").open("w", encoding="utf-8") as file:
        console = Console(file=file, width=SCREEN_WIDTH)
        for table in tables(result):
            console.print(table)
        _print_worst(result, console)
    names = [demand.name if demand.in_range else f"{demand.name}*" for demand in result.demands]
    values = {
        metric: {
            controller: [result.values(controller, demand.name, metric) for demand in result.demands]
            for controller in result.controllers
        }
        for metric in result.units
    }
    labels = {metric: with_unit(plain(metric), unit) for metric, unit in result.units.items()}
    primary = result.primary_metric
    figures.by_demand(names, {primary: values[primary]}, labels).savefig(folder / f"{primary}.png", dpi=150)
    figures.by_demand(names, values, labels).savefig(folder / "metrics.png", dpi=120)


def _keep(folder: Path, output: Path | None, run_id: str | None, uri: str) -> None:
    """Copy the results to `output` and to the run's artifacts, and print where they are."""
    from rich.console import Console

    from genreplay.common.files import writing
    from genreplay.evaluation.result import FOLDER
    from genreplay.runs import store

    err = Console(stderr=True, highlight=False, soft_wrap=True)
    if output is not None:
        with writing(output, "another folder"):
            shutil.copytree(folder, output, dirs_exist_ok=True)
        err.print(f"results are in {output}")
    if run_id is not None and store.keep(uri, run_id, folder, FOLDER):
        err.print(f"results are among the artifacts of run {run_id}, in {FOLDER}/; see: genreplay ui")
    elif output is None:
        log.warning("evaluate: the results are on the screen only; give --output DIR to keep them")
