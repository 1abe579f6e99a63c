"""What a run is called: its method and its environment, from its config as flat text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from genreplay.config.reader import to_yaml
from genreplay.config.schema import ExperimentConfig, TrackingConfig
from genreplay.envs.world import World
from genreplay.runs.tracker import flatten

PLACES = ("env.scenario", "env.net_file", "env.layout", "env.id")
"""Options that name an environment of a kind, the first one that is set."""


def method(params: Mapping[str, str]) -> str:
    """`real only`, `SynthER`, or `PGR` where a relevance steers the generator; with the parts that are not usual."""
    generator, relevance = params.get("generator.name", "none"), params.get("relevance.name", "none")
    if generator == "none":
        return "real only"
    parts = [name for name, usual in ((relevance, ("none", "curiosity")), (generator, ("edm",))) if name not in usual]
    name = "SynthER" if relevance == "none" else "PGR"
    return f"{name} ({', '.join(parts)})" if parts else name


def world(params: Mapping[str, str]) -> str:
    """The kind of the environment and its map, layout or task, such as `sumo 2way`."""
    kind = params.get("env.name", "")
    places = (params.get(key, "null") for key in PLACES)
    place = next((Path(text).name.split(".")[0] for text in places if text not in ("null", "")), "")
    return f"{kind} {place}".strip()


def tracking(config: ExperimentConfig, name: str | None, of: World) -> TrackingConfig:
    """Where a run is tracked, with a name and the tags by which MLflow's pages and `genreplay compare` tell runs apart.

    Args:
        config: of the run. A name or tag that it sets itself wins.
        name: of the config file; None where there is none, as from Python.
        of: the run's environment.
    """
    params = flatten(yaml.safe_load(to_yaml(config)))
    place, kind = world(params), method(params)
    tags = {
        "method": kind,
        "world": place,
        "primary_metric": of.primary_metric,
        "better": "lower" if of.minimise else "higher",
        "metric_units": json.dumps(dict(of.shown_units)),
    }
    usual = f"{name or re.sub(r'[^0-9A-Za-z.-]+', '_', f'{kind} {place}')}-seed{config.seed}"
    return replace(config.tracking, run_name=config.tracking.run_name or usual, tags=tags | config.tracking.tags)
