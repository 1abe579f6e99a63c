"""A GIF of a trained policy at work, and of a baseline beside it on the same demand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from genreplay.envs.base import Shot
from genreplay.errors import UserError
from genreplay.policy import load_policy
from genreplay.progress import Bars

FRAME_MILLISECONDS = 100
"""How long a picture stands in the GIF."""
NUM_COLORS = 128
NUM_SAMPLED = 4
"""Pictures whose colours make the palette."""


def render(folder: Path, shot: Shot, output: Path) -> str:
    """Film the policy of a checkpoint and write `output`; a line that says what was written.

    Raises:
        UserError: there is no such checkpoint, its world has no pictures, or `output` cannot be written to.
    """
    loaded = load_policy(folder)
    with Bars(-(-shot.seconds // shot.stride), what="pictures") as bars:
        pictures = []
        for picture in loaded.world.film(loaded.policy, shot):
            pictures.append(picture)
            bars.advance(len(pictures))
    try:
        write_gif(pictures, output)
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written to ({error.strerror or error}); name another") from error
    return f"{output}: {len(pictures)} pictures, {output.stat().st_size / 1e6:.1f} MB"


def write_gif(pictures: Sequence[np.ndarray], path: Path) -> None:
    """Write pictures `[H, W, 3]` (uint8) as one GIF that repeats, on one palette."""
    images = [Image.fromarray(picture) for picture in pictures]
    # A colour that few pixels have, such as a light's, is kept too.
    palette = _montage(images).quantize(NUM_COLORS, method=Image.Quantize.MAXCOVERAGE)
    frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(
        path, "GIF", save_all=True, append_images=frames[1:], duration=FRAME_MILLISECONDS, loop=0, optimize=True
    )


def _montage(images: Sequence[Image.Image]) -> Image.Image:
    """A few of the pictures, one under the other."""
    chosen = images[:: max(1, len(images) // NUM_SAMPLED)]
    width, height = images[0].size
    montage = Image.new("RGB", (width, height * len(chosen)))
    for i, image in enumerate(chosen):
        montage.paste(image, (0, i * height))
    return montage
