"""`genreplay report`: everything that is known of a run, as one HTML page that needs nothing else."""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import Environment, StrictUndefined

from genreplay import __version__
from genreplay.common.errors import UserError
from genreplay.config.reader import to_yaml
from genreplay.envs.facets import FilmRequest
from genreplay.evaluation.episode_pool import POLICY
from genreplay.evaluation.files import read_episodes
from genreplay.evaluation.result import FOLDER as EVALUATION
from genreplay.evaluation.result import GROUPS, STATISTICS, BaselineComparison, EvaluationResult
from genreplay.evaluation.tables import saved
from genreplay.reporting import charts, figures
from genreplay.reporting.charts import Picture
from genreplay.reporting.film import camera_of, film, write_gif
from genreplay.runs import checkpoint, record, store, tracker
from genreplay.runs.policy import LoadedPolicy, load_policy
from genreplay.runs.record import Record

TEMPLATE = "page.html"
FOLDER, DIAGNOSTICS = "report", "diagnostics"
"""Among a run's artifacts."""
FACTS = {
    "environment": "env.name",
    "map": "env.scenario",
    "network": "env.net_file",
    "traffic": "env.route_file",
    "task": "env.id",
    "actions": "env.action_mode",
    "agent": "agent.name",
    "critics": "agent.ensemble_size",
    "generator": "generator.name",
    "relevance": "relevance.name",
    "synthetic share of a batch": "replay.synthetic_fraction",
    "critic updates for each env step": "loop.utd_ratio",
    "training seed": "seed",
}
"""What of the config stands at the top of its section."""


@dataclass(frozen=True)
class Evaluated:
    """What `genreplay evaluate` left among the run's artifacts."""

    result: EvaluationResult
    about: Mapping[str, Any]
    changes: Mapping[str, tuple[str, str]]
    """Options of the environment that differed from the run's own: the run's value and the evaluation's."""


class Film(NamedTuple):
    """The animation of one episode."""

    picture: Picture
    request: FilmRequest
    delays: Mapping[str, float]
    """Headline metric of that very episode by controller, where it was evaluated."""


class Refit(NamedTuple):
    """How good the synthetic rows of one fit of the generator were."""

    env_step: int
    figure: Picture
    header: list[str]
    columns: list[list[str]]
    """A row for each column of the transition, those that differ most first."""


def write_report(folder: Path, named_uri: str | None, output: Path, with_film: bool) -> str:
    """Write the page of the run that a checkpoint is of; a line that says what was written.

    The page becomes one of the run's artifacts too (`report/`), and so does the film, which is made only where the run
    has none of this checkpoint.

    Args:
        folder: of the checkpoint.
        named_uri: the store; None for the one that the run's config means.
        output: the page.
        with_film: show the policy at work, where its world has pictures.

    Raises:
        UserError: the store does not know the run, the checkpoint or the evaluation is broken, or `output` cannot be
            written to.
    """
    _check(output)
    loaded = load_policy(folder)
    uri = store.store_uri(named_uri or loaded.config.tracking.uri)
    with tempfile.TemporaryDirectory(prefix="genreplay-report-") as scratch:
        run = record.read(uri, loaded.run_id, (EVALUATION, DIAGNOSTICS, FOLDER), Path(scratch) / "artifacts")
        kept = Path(scratch) / "kept"
        kept.mkdir()
        evaluated = _evaluated(run, loaded)
        filmed = _film(run, loaded, evaluated, kept) if with_film and loaded.world.camera is not None else None
        curve = checkpoint.load(folder).counters["report"]["curve"]
        page = render_page(run, loaded, evaluated, filmed, curve)
        (kept / output.name).write_text(page, encoding="utf-8")
        output.write_text(page, encoding="utf-8")
        store.keep(uri, run.run_id, kept, FOLDER)
    return f"{output}: run {run.name} ({run.run_id}) on one page, {output.stat().st_size / 1e6:.1f} MB"


def _check(output: Path) -> None:
    """Before the work, not after it."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output.parent).close()
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written to ({error.strerror}); name another file") from None
    if output.is_dir():
        raise UserError(f"--output {output}: is a folder; name a file in it, such as {output / 'report.html'}")


# What there is -------------------------------------------------------------------------------------------------------


def _evaluated(run: Record, loaded: LoadedPolicy) -> Evaluated | None:
    folder = run.artifacts / EVALUATION
    if not (folder / "episodes.csv").is_file():
        return None
    about = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    own, theirs = (tracker.flatten(yaml.safe_load(text)) for text in (to_yaml(loaded.config), about["config"]))
    changes = {
        key: (own.get(key, "null"), theirs.get(key, "null"))
        for key in own | theirs
        if key.startswith("env.") and own.get(key) != theirs.get(key)
    }
    return Evaluated(read_episodes(folder / "episodes.csv", loaded.world), about, changes)


def _film(run: Record, loaded: LoadedPolicy, evaluated: Evaluated | None, kept: Path) -> Film:
    """One episode of the evaluation where there is one in this world, else one of its kind."""
    world, result = loaded.world, None
    if evaluated is not None and not evaluated.changes:
        result = evaluated.result
    demands = world.evaluation.demands() if result is None else result.demands
    demand = next((demand for demand in reversed(demands) if demand.in_range), demands[-1]).name
    usual = camera_of(world).default_request
    seed = usual.seed if result is None else result.specs[0].seed
    incumbent = world.evaluation.baselines[0] if world.evaluation.baselines else None
    # A short episode is shown from its third on.
    begin = min(usual.begin, world.episode_seconds // 3)
    request = usual._replace(demand=demand, seed=seed, begin=begin, baseline=incumbent)
    name = re.sub(r"[^\w.]", "_", f"film_env_step_{loaded.env_step:07d}_demand_{demand}_seed_{seed}") + ".gif"
    path = run.artifacts / FOLDER / name
    if not path.is_file():
        path = kept / name
        write_gif(film(loaded, request), path)
    beside = "" if incumbent is None else f", beside the {_plain(incumbent)} on the same traffic"
    alt = f"Animation of an episode under the learned policy{beside}: demand {demand}, seed {seed}"
    picture = Picture(charts.as_uri(path.read_bytes(), "image/gif"), alt)
    delays: dict[str, float] = {}
    if result is not None and evaluated is not None and evaluated.about.get("env_step") == loaded.env_step:
        for spec, episode in zip(result.specs, result.episodes, strict=True):
            if (spec.demand, spec.seed) == (demand, seed) and spec.controller in (POLICY, incumbent):
                delays[spec.controller] = episode[world.primary_metric]
    return Film(picture, request, delays)


def _refits(run: Record) -> list[Refit]:
    found = []
    for path in sorted((run.artifacts / DIAGNOSTICS).glob("env_step_*.csv")):
        env_step = int(path.stem.rpartition("_")[2])
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        by = header.index("wasserstein")
        rows.sort(key=lambda row: -float(row[by]))
        shown = [[name, *(f"{float(text):.3g}" for text in values)] for name, *values in rows]
        alt = (
            f"Synthetic beside real transitions at env step {env_step}: histograms of the columns that differ most "
            f"({', '.join(row[0] for row in rows[:3])}, ...) and correlations of all columns"
        )
        image = path.with_suffix(".png").read_bytes()
        figure = Picture(charts.as_uri(image, "image/png"), alt)
        found.append(Refit(env_step, figure, [text.replace("_", " ") for text in header], shown))
    return found


# The page ------------------------------------------------------------------------------------------------------------


def render_page(
    run: Record, loaded: LoadedPolicy, evaluated: Evaluated | None, filmed: Film | None, curve: Sequence[Mapping]
) -> str:
    """The page's HTML. `curve` has the evaluations during training: `env_step`, `mean`, `low`, `high` of each."""
    world = loaded.world
    config_yaml = to_yaml(loaded.config)
    flat = tracker.flatten(yaml.safe_load(config_yaml))
    incumbent = world.evaluation.baselines[0] if world.evaluation.baselines else None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"plain": _plain, "number": _number, "moment": _moment}
    template = environment.from_string(files("genreplay.reporting").joinpath(TEMPLATE).read_text(encoding="utf-8"))

    def draw(wanted: Sequence[charts.Chart]) -> list[Picture]:
        return [picture for chart in wanted if (picture := chart.draw(run.metrics)) is not None]

    return template.render(
        run=run,
        loaded=loaded,
        num_env_steps=loaded.config.loop.num_env_steps,
        made=datetime.now(UTC),
        version=__version__,
        primary_metric=_plain(world.primary_metric),
        unit=world.primary_unit,
        incumbent=incumbent,
        curve=curve,
        incumbent_in_training=_last(run, f"baseline/{world.primary_metric}"),
        facts={label: flat[key] for label, key in FACTS.items() if flat.get(key, "null") != "null"},
        duration=None if run.end is None else _duration((run.end - run.start).total_seconds()),
        config_yaml=config_yaml,
        versions={name: text for key, text in run.tags.items() if (name := key.removeprefix("version.")) != key},
        curve_chart=_curve_chart(run, loaded, curve),
        training_charts=draw(charts.of_training(world.primary_metric, world.primary_unit)),
        generator_charts=draw([*charts.of_generator(), *charts.of_relevance(run.metrics)]),
        diagnostics_charts=draw(charts.of_diagnostics()),
        diagnostics=_diagnostics(run),
        refits=_refits(run),
        has_generator=loaded.config.generator.name != "none",
        metrics={name: series for name, series in run.metrics.items() if series.values},
        evaluated=evaluated,
        groups=[] if evaluated is None else evaluated.result.comparisons(incumbent),
        against=lambda own, comparison: _against(own, comparison, world.minimise, world.primary_unit),
        tables=[] if evaluated is None else [_table(evaluated.result, name) for name in STATISTICS],
        figures_table=None if evaluated is None else _figures_table(evaluated.result),
        demand_charts=[] if evaluated is None else _demand_charts(evaluated.result),
        seeds=[] if evaluated is None else list(dict.fromkeys(spec.seed for spec in evaluated.result.specs)),
        film=filmed,
        has_film=world.camera is not None,
        in_seconds=world.episode_seconds > 0,
    )


def _curve_chart(run: Record, loaded: LoadedPolicy, curve: Sequence[Mapping]) -> Picture | None:
    if not curve:
        return None
    world, incumbent = loaded.world, _last(run, f"baseline/{loaded.world.primary_metric}")
    steps, means, low, high = ([point[key] for point in curve] for key in ("env_step", "mean", "low", "high"))
    label = (
        f"{_plain(world.primary_metric)} ({world.primary_unit})" if world.primary_unit else _plain(world.primary_metric)
    )
    name = _plain(world.evaluation.baselines[0]) if world.evaluation.baselines else ""
    beside = "" if incumbent is None else f"; the {name} has {incumbent:.1f}"
    alt = (
        f"Learning curve: {label} on the evaluation episodes, {means[0]:.1f} at env step {steps[0]}, {means[-1]:.1f} "
        f"at {steps[-1]}{beside}"
    )
    return charts.as_svg(lambda: figures.learning_curve(steps, means, low, high, label, incumbent, name), alt)


def _demand_charts(result: EvaluationResult) -> list[Picture]:
    """The primary metric, then the others, by demand."""
    names = [demand.name if demand.in_range else f"{demand.name}*" for demand in result.demands]
    pictures = []
    for metric, unit in result.units.items():
        label = f"{_plain(metric)} ({unit})" if unit else _plain(metric)
        values = {c: [result.values(c, demand.name, metric) for demand in result.demands] for c in result.controllers}
        alt = f"{label} of each episode and means, by controller and demand; the table has the numbers"

        def draw(metric: str = metric, label: str = label, values: dict = values) -> Any:
            return figures.by_demand(names, {metric: values}, {metric: label})

        pictures.append(charts.as_svg(draw, alt))
    return pictures


class Table(NamedTuple):
    """A table whose rows begin with a controller."""

    title: str
    header: list[str]
    rows: list[tuple[str, list[tuple[str, bool]]]]
    """Controller, and its cells with whether each is the best of its column."""


def _table(result: EvaluationResult, statistic: str) -> Table:
    groups = result.groups()
    unit = f" ({result.units[result.primary_metric]})" if result.units[result.primary_metric] else ""
    title = f"{_plain(statistic).capitalize()} {_plain(result.primary_metric)} over seeds{unit}"
    values = {
        controller: [result.statistic(statistic, controller, names, result.primary_metric) for names in groups.values()]
        for controller in result.controllers
    }
    best = [(min if result.minimise else max)(column) for column in zip(*values.values(), strict=True)]
    saves = [where for where in groups if where in GROUPS] if result.minimise and POLICY in values else []
    places = [list(groups).index(where) for where in saves]
    rows = []
    for controller, cells in values.items():
        texts = [(f"{value:.1f}", value == good) for value, good in zip(cells, best, strict=True)]
        for place in places:
            texts.append(("" if controller == POLICY else saved(values[POLICY][place], cells[place]), False))
        rows.append((controller, texts))
    return Table(title, [*groups, *(f"policy saves, {where}" for where in saves)], rows)


def _figures_table(result: EvaluationResult) -> Table:
    names = [demand.name for demand in result.demands]
    header = [f"{_plain(metric)} ({unit})" if unit else _plain(metric) for metric, unit in result.units.items()]
    rows = [
        (c, [(f"{result.statistic('mean', c, names, metric):.1f}", False) for metric in result.units])
        for c in result.controllers
    ]
    return Table("All figures, means over demands and seeds", header, rows)


def _diagnostics(run: Record) -> dict[str, dict[int, float]]:
    """Each figure of the synthetic rows by the env step of the fit."""
    prefix = f"{DIAGNOSTICS}/"
    found = {name.removeprefix(prefix): series for name, series in run.metrics.items() if name.startswith(prefix)}
    return {name: dict(zip(*series, strict=True)) for name, series in found.items()}


def _last(run: Record, metric: str) -> float | None:
    return run.metrics[metric].values[-1] if metric in run.metrics else None


# Words ---------------------------------------------------------------------------------------------------------------


def _against(own: float, comparison: BaselineComparison, minimise: bool, unit: str) -> tuple[str, bool]:
    """The policy's figure beside a comparison's, in words, and whether it is the better one."""
    is_better = own < comparison.value if minimise else own > comparison.value
    if own == comparison.value:
        return "as much", False
    if minimise and comparison.value > 0:
        share = 100 * abs(1 - own / comparison.value)
        return f"{share:.0f} % {'less' if own < comparison.value else 'more'}", is_better
    return (
        f"{abs(own - comparison.value):.1f}{f' {unit}' if unit else ''} {'less' if own < comparison.value else 'more'}",
        is_better,
    )


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _number(value: float) -> str:
    return f"{value:.4g}"


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M UTC")


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{value} {unit}" for value, unit in parts if value) or "0 s"
