"""A film of a trained policy at work, and of a baseline beside it on the same demand: a GIF, or an MP4."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from genreplay.envs.base import Shot
from genreplay.errors import UserError
from genreplay.policy import LoadedPolicy, load_policy
from genreplay.progress import Bars

FRAME_MILLISECONDS = 100
"""How long a picture is shown."""
NUM_COLORS = 128
NUM_SAMPLED = 4
"""Pictures whose colours make the palette."""
MP4_QUALITY = 18
"""H.264's constant rate factor: 0 loses nothing, 51 most; 18 looks the same as the pictures."""


def render(folder: Path, shot: Shot, output: Path) -> str:
    """Film the policy of a checkpoint and write `output`; a line that says what was written.

    The suffix of `output` says what: `.mp4`, or `.gif` and anything else for a GIF.

    Raises:
        UserError: there is no such checkpoint, its world has no pictures, the extra package that MP4 needs is missing,
            or `output` cannot be written to.
    """
    is_mp4 = output.suffix.lower() == ".mp4"
    if is_mp4 and find_spec("av") is None:
        raise UserError(
            f"--output {output}: MP4 needs PyAV; get it with: pip install 'genreplay[video]', or name a .gif"
        )
    pictures = film(load_policy(folder), shot)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        (write_mp4 if is_mp4 else write_gif)(pictures, output)
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written to ({error.strerror or error}); name another") from error
    return f"{output}: {len(pictures)} pictures, {output.stat().st_size / 1e6:.1f} MB"


def film(loaded: LoadedPolicy, shot: Shot) -> list[np.ndarray]:
    """Pictures `[H, W, 3]` (uint8) of the policy's episode; UserError where its world has none."""
    pictures: list[np.ndarray] = []
    with Bars(-(-shot.seconds // shot.stride), what="pictures") as bars:
        for picture in loaded.world.film(loaded.policy, shot):
            pictures.append(picture)
            bars.advance(len(pictures))
    return pictures


def write_gif(pictures: Sequence[np.ndarray], path: Path) -> None:
    """Write pictures `[H, W, 3]` (uint8) as one GIF that repeats, on one palette."""
    images = [Image.fromarray(picture) for picture in pictures]
    # A colour that few pixels have, such as a light's, is kept too.
    palette = _montage(images).quantize(NUM_COLORS, method=Image.Quantize.MAXCOVERAGE)
    frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    frames[0].save(
        path, "GIF", save_all=True, append_images=frames[1:], duration=FRAME_MILLISECONDS, loop=0, optimize=True
    )


def write_mp4(pictures: Sequence[np.ndarray], path: Path) -> None:
    """Write pictures `[H, W, 3]` (uint8) as H.264, in the 4:2:0 colours that every player shows."""
    import av

    height, width = (side - side % 2 for side in pictures[0].shape[:2])  # 4:2:0 has colours for pairs of pixels
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=1000 // FRAME_MILLISECONDS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(MP4_QUALITY)}
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _montage(images: Sequence[Image.Image]) -> Image.Image:
    """A few of the pictures, one under the other."""
    chosen = images[:: max(1, len(images) // NUM_SAMPLED)]
    width, height = images[0].size
    montage = Image.new("RGB", (width, height * len(chosen)))
    for i, image in enumerate(chosen):
        montage.paste(image, (0, i * height))
    return montage
