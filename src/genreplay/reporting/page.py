"""A run, or a published policy, as one HTML page that needs no other file and no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from genreplay import __version__
from genreplay.common.errors import UserError
from genreplay.common.files import make_folder
from genreplay.common.images import write_gif
from genreplay.common.scratch import Scratch
from genreplay.common.text import plain, with_unit
from genreplay.config.reader import to_yaml
from genreplay.config.schema import ExperimentConfig
from genreplay.envs.facets import FilmRequest
from genreplay.envs.world import World
from genreplay.evaluation.episode_pool import POLICY
from genreplay.evaluation.result import FOLDER as EVALUATION
from genreplay.reporting import charts, figures
from genreplay.reporting.charts import Picture
from genreplay.reporting.film import camera_of, film
from genreplay.reporting.page_evaluation import Evaluated, evaluation_variables, read_evaluation
from genreplay.reporting.page_tables import diagnostics, refits
from genreplay.reporting.templates import template
from genreplay.runs import record, store, tracker
from genreplay.runs.policy import LoadedPolicy, load_policy
from genreplay.runs.record import Record

TEMPLATE = "page.html"
FOLDER, DIAGNOSTICS = "report", "diagnostics"
"""Among a run's artifacts."""
FACTS = {
    "agent": "agent.name",
    "critics": "agent.ensemble_size",
    "generator": "generator.name",
    "relevance": "relevance.name",
    "synthetic share of a batch": "replay.synthetic_fraction",
    "critic updates for each env step": "loop.utd_ratio",
    "training seed": "seed",
}
"""Options at the top of the config's section, after the environment's own `FACTS`."""


class Film(NamedTuple):
    """The animation of one episode."""

    picture: Picture
    request: FilmRequest
    delays: Mapping[str, float]
    """Primary metric of this episode by controller, where it was evaluated."""


def write_report(folder: Path, named_uri: str | None, output: Path, with_film: bool) -> str:
    """Write the page of the run that a checkpoint is of, or of a published policy; a line that names it.

    A run's page becomes one of its artifacts too (`report/`), and so does the film, which is made only where the run
    has none of this checkpoint. A published policy has its card, its evaluation and the curve of its training, and no
    other metrics.

    Args:
        folder: of the checkpoint or the published policy.
        named_uri: the store; None for the one that the run's config means.
        output: the page.
        with_film: show the policy at work, where its environment has a camera.

    Raises:
        UserError: the store does not know the run, the checkpoint or the evaluation is broken, or `output` cannot be
            written to.
    """
    make_folder(output.parent, "another file", named=output)  # before the work, not after it
    if output.is_dir():
        raise UserError(f"--output {output}: is a folder; name a file in it, such as {output / 'report.html'}")
    loaded = load_policy(folder)
    uri = store.store_uri(named_uri or store.store_of(folder, loaded.config.tracking.uri))
    with Scratch("report") as scratch:
        if loaded.run_id is None:
            run = record.of_published(folder)
        else:
            run = record.read(uri, loaded.run_id, (EVALUATION, DIAGNOSTICS, FOLDER), Path(scratch) / "artifacts")
        kept = Path(scratch) / "kept"
        kept.mkdir()
        evaluated = read_evaluation(run.artifacts / EVALUATION, loaded)
        filmed = _film(run, loaded, evaluated, kept) if with_film and loaded.world.camera is not None else None
        page = render_page(run, loaded, evaluated, filmed, loaded.curve)
        (kept / output.name).write_text(page, encoding="utf-8")
        output.write_text(page, encoding="utf-8")
        if loaded.run_id is not None:
            store.keep(uri, run.run_id, kept, FOLDER)
    what = f"policy {run.name}" if loaded.run_id is None else f"run {run.name} ({run.run_id})"
    return f"{output}: {what} on one page, {output.stat().st_size / 1e6:.1f} MB"


# Loading -------------------------------------------------------------------------------------------------------------


def _film(run: Record, loaded: LoadedPolicy, evaluated: Evaluated | None, kept: Path) -> Film:
    """A film of an episode of the evaluation, or of another one where there is no evaluation in this environment."""
    world, result = loaded.world, None
    if evaluated is not None and not evaluated.changes:
        result = evaluated.result
    demands = world.evaluation.demands() if result is None else result.demands
    demand = next((demand for demand in reversed(demands) if demand.in_range), demands[-1]).name
    usual = camera_of(world).default_request
    seed = usual.seed if result is None else result.specs[0].seed
    incumbent = _incumbent(world)
    # A short episode is shown from its third on.
    begin = min(usual.begin, world.episode_seconds // 3)
    request = usual._replace(demand=demand, seed=seed, begin=begin, baseline=incumbent)
    name = re.sub(r"[^\w.]", "_", f"film_env_step_{loaded.env_step:07d}_demand_{demand}_seed_{seed}") + ".gif"
    path = run.artifacts / FOLDER / name
    if not path.is_file():
        path = kept / name
        write_gif(film(loaded, request), path)
    beside = "" if incumbent is None else f", next to the {plain(incumbent)} on the same traffic"
    alt = f"Animation of an episode under the learned policy{beside}: demand {demand}, seed {seed}"
    picture = Picture(charts.as_uri(path.read_bytes(), "image/gif"), alt)
    delays: dict[str, float] = {}
    if result is not None and evaluated is not None and evaluated.about.get("env_step") == loaded.env_step:
        for spec, episode in zip(result.specs, result.episodes, strict=True):
            if (spec.demand, spec.seed) == (demand, seed) and spec.controller in (POLICY, incumbent):
                delays[spec.controller] = episode[world.primary_metric]
    return Film(picture, request, delays)


# The page ------------------------------------------------------------------------------------------------------------


def render_page(
    run: Record, loaded: LoadedPolicy, evaluated: Evaluated | None, filmed: Film | None, curve: Sequence[Mapping]
) -> str:
    """The page's HTML. `curve` has the evaluations during training: `env_step`, `mean`, `low`, `high` of each."""
    world = loaded.world
    filters: dict[str, Any] = {"plain": plain, "number": _number, "moment": _moment}
    return template(TEMPLATE, filters=filters).render(
        run=run,
        loaded=loaded,
        num_env_steps=loaded.config.loop.num_env_steps,
        named=f"--checkpoint {run.name}" if loaded.run_id is None else f"--run {run.run_id}",
        is_published=loaded.run_id is None,
        made=datetime.now(UTC),
        version=__version__,
        primary_metric=plain(world.primary_metric),
        unit=world.primary_unit,
        incumbent=_incumbent(world),
        duration=None if run.end is None else _duration((run.end - run.start).total_seconds()),
        versions={name: text for key, text in run.tags.items() if (name := key.removeprefix("version.")) != key},
        metrics={name: series for name, series in run.metrics.items() if series.values},
        film=filmed,
        has_film=world.camera is not None,
        in_seconds=world.episode_seconds > 0,
        **_config(loaded.config),
        **_training(run, loaded, curve),
        **evaluation_variables(evaluated, world, _incumbent(world)),
    )


def _incumbent(world: World) -> str | None:
    return next(iter(world.evaluation.baselines), None)


def _config(config: ExperimentConfig) -> dict[str, Any]:
    """The template's variables about the config."""
    config_yaml = to_yaml(config)
    flat = tracker.flatten(yaml.safe_load(config_yaml))
    options = {label: f"env.{name}" for label, name in getattr(config.env, "FACTS", ())}
    of_env = {label: flat[key] for label, key in options.items() if flat.get(key, "null") not in ("null", "[]")}
    of_parts = {label: flat[key] for label, key in FACTS.items() if flat.get(key, "null") != "null"}
    return {
        "config_yaml": config_yaml,
        "place": " · ".join([config.env.name, *list(of_env.values())[:1]]),
        "seed": config.seed,
        "facts": {"environment": config.env.name, **of_env, **of_parts},
    }


def _training(run: Record, loaded: LoadedPolicy, curve: Sequence[Mapping]) -> dict[str, Any]:
    """The template's variables about the training and the synthetic rows."""
    world = loaded.world

    def draw(wanted: Sequence[charts.Chart]) -> list[Picture]:
        return [picture for chart in wanted if (picture := chart.draw(run.metrics)) is not None]

    return {
        "curve": curve,
        "curve_chart": _curve_chart(run, loaded, curve),
        "incumbent_in_training": _last(run, f"baseline/{world.primary_metric}"),
        "training_charts": draw(charts.of_training(world.primary_metric, world.primary_unit)),
        "generator_charts": draw([*charts.of_generator(), *charts.of_relevance(run.metrics)]),
        "diagnostics_charts": draw(charts.of_diagnostics()),
        "diagnostics": diagnostics(run),
        "refits": refits(run.artifacts / DIAGNOSTICS),
        "has_generator": loaded.config.generator.name != "none" and loaded.run_id is not None,
    }


def _curve_chart(run: Record, loaded: LoadedPolicy, curve: Sequence[Mapping]) -> Picture | None:
    if not curve:
        return None
    world, incumbent = loaded.world, _last(run, f"baseline/{loaded.world.primary_metric}")
    steps, means, low, high = ([point[key] for point in curve] for key in ("env_step", "mean", "low", "high"))
    label = with_unit(plain(world.primary_metric), world.primary_unit)
    name = plain(_incumbent(world) or "")
    beside = "" if incumbent is None else f"; the {name} has {incumbent:.1f}"
    alt = (
        f"Learning curve: {label} on the evaluation episodes, {means[0]:.1f} at env step {steps[0]}, {means[-1]:.1f} "
        f"at {steps[-1]}{beside}"
    )
    return charts.as_svg(lambda: figures.learning_curve(steps, means, low, high, label, incumbent, name), alt)


def _last(run: Record, metric: str) -> float | None:
    return run.metrics[metric].values[-1] if metric in run.metrics else None


# Formatting ----------------------------------------------------------------------------------------------------------


def _number(value: float) -> str:
    return f"{value:.4g}"


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M UTC")


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{value} {unit}" for value, unit in parts if value) or "0 s"
