"""Films of a run as a GIF or an MP4: episodes of its policy, or transitions of its generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genreplay.build import build_world
from genreplay.common.errors import UserError
from genreplay.common.files import writing
from genreplay.common.images import FRAME_MILLISECONDS, write_gif, write_mp4
from genreplay.common.progress import Bars
from genreplay.config.reader import from_yaml
from genreplay.envs.facets import Camera, FilmRequest
from genreplay.envs.world import World
from genreplay.runs import checkpoint, published
from genreplay.runs.policy import LoadedPolicy, load_policy

TRANSITION_MILLISECONDS, NUM_TRANSITIONS = 2000, 40
"""How long a transition is shown, and how many are."""


def render(folder: Path, given: Mapping[str, Any], output: Path) -> str:
    """Film the policy of a checkpoint and write `output`; a line that says what was written.

    The suffix of `output` says what: `.mp4`, or `.gif` and anything else for a GIF.

    Args:
        folder: of the checkpoint.
        given: fields of `FilmRequest`; the camera's own where one is None or missing. An empty `baseline` is the
            incumbent.
        output: the file.

    Raises:
        UserError: there is no such checkpoint, its world has no pictures, the extra package that MP4 needs is missing,
            or `output` cannot be written to.
    """
    _check(output)
    loaded = load_policy(folder)
    chosen = {name: value for name, value in given.items() if value is not None}
    if chosen.get("baseline") == "":
        chosen["baseline"] = next(iter(loaded.world.evaluation.baselines), "")
    request = camera_of(loaded.world).default_request._replace(**chosen)
    return _write(film(loaded, request), output, FRAME_MILLISECONDS)


def render_synthetic(folder: Path, given: Mapping[str, Any], output: Path) -> str:
    """Picture some of a checkpoint's synthetic transitions, drawn at random, as `render` does.

    Args:
        folder: of the checkpoint.
        given: as for `render`; only `seed`, of the draw, has a meaning here.
        output: the file.

    Raises:
        UserError: as for `render`; or the checkpoint has no synthetic transitions, or an option has no meaning.
    """
    _check(output)
    for name, value in given.items():
        if name != "seed" and value is not None:
            raise UserError(f"--{name}: has no effect with --synthetic; leave it out")
    if published.is_published(folder):
        raise UserError("--synthetic: a published policy has no synthetic transitions; name a checkpoint of its run")
    loaded = checkpoint.load(folder)
    world = build_world(from_yaml(loaded.config_yaml, f"checkpoint {loaded.folder}"))
    rows = loaded.buffers.get("synthetic", None)
    if rows is None:
        raise UserError(
            "--synthetic: this checkpoint has no synthetic transitions; take one of a run whose generator was fitted"
        )
    camera = camera_of(world)
    seed = camera.default_request.seed if given.get("seed") is None else given["seed"]
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:NUM_TRANSITIONS]
    pictures = list(camera.picture_transitions(rows[chosen].clone()))
    return _write(pictures, output, TRANSITION_MILLISECONDS)


def _check(output: Path) -> None:
    if output.suffix.lower() == ".mp4" and find_spec("av") is None:
        raise UserError(
            f"--output {output}: MP4 needs PyAV; get it with: pip install 'genreplay[video]', or name a .gif"
        )


def _write(pictures: Sequence[np.ndarray], output: Path, milliseconds: int) -> str:
    with writing(output, "another file"):
        output.parent.mkdir(parents=True, exist_ok=True)
        (write_mp4 if output.suffix.lower() == ".mp4" else write_gif)(pictures, output, milliseconds)
    return f"{output}: {len(pictures)} pictures, {output.stat().st_size / 1e6:.1f} MB"


def camera_of(world: World) -> Camera:
    """The environment's camera; UserError where it has none."""
    if world.camera is None:
        raise UserError("render: this environment has no camera; it draws no pictures")
    return world.camera


def film(loaded: LoadedPolicy, request: FilmRequest) -> list[np.ndarray]:
    """Pictures `[H, W, 3]` (uint8) of the policy's episode; UserError where its environment has no camera."""
    pictures: list[np.ndarray] = []
    with Bars(-(-request.seconds // request.stride), what="pictures") as bars:
        for picture in camera_of(loaded.world).film(loaded.policy, request):
            pictures.append(picture)
            bars.advance(len(pictures))
    return pictures
