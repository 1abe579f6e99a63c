"""What a run is called: its method and its environment, from its config as flat text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NAMES_OF_PLACES = ("env.scenario", "env.net_file", "env.layout", "env.id")
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
    places = (params.get(key, "null") for key in NAMES_OF_PLACES)
    place = next((Path(text).name.split(".")[0] for text in places if text not in ("null", "")), "")
    return f"{kind} {place}".strip()
