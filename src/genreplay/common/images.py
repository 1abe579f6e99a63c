"""Animations as files: GIF and MP4."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FRAME_MILLISECONDS = 100
"""How long a picture of a film is shown."""
NUM_FREQUENT, NUM_OTHERS = 64, 64
"""Colours of the palette: the most frequent ones as they are, and others spread over all that there are."""
NUM_SAMPLED = 4
"""Pictures whose colours make the palette."""
MP4_QUALITY = 18
"""H.264's constant rate factor: 0 loses nothing, 51 most; 18 looks the same as the pictures."""


def write_gif(pictures: Sequence[np.ndarray], path: Path, milliseconds: int = FRAME_MILLISECONDS) -> None:
    """Write pictures `[H, W, 3]` (uint8) as one GIF that repeats, with one palette, each shown for `milliseconds`."""
    images = [Image.fromarray(picture) for picture in pictures]
    palette = _palette(_montage(images))
    frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, optimize=True)


def write_mp4(pictures: Sequence[np.ndarray], path: Path, milliseconds: int = FRAME_MILLISECONDS) -> None:
    """Write pictures `[H, W, 3]` (uint8), each shown for `milliseconds`, as H.264, in 4:2:0 for every player."""
    import av

    height, width = (side - side % 2 for side in pictures[0].shape[:2])  # 4:2:0 has colours for pairs of pixels
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(1000, milliseconds))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(MP4_QUALITY)}
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _palette(montage: Image.Image) -> Image.Image:
    """An image with the palette of a film."""
    # A colour that few pixels have, such as a light's, is covered too.
    others = montage.quantize(NUM_OTHERS, method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    counts: list[Any] = montage.getcolors(montage.width * montage.height) or []
    frequent = [channel for _, color in sorted(counts, reverse=True)[:NUM_FREQUENT] for channel in color]
    palette = Image.new("P", (1, 1))
    palette.putpalette([*frequent, *others[: 3 * NUM_OTHERS]])
    return palette


def _montage(images: Sequence[Image.Image]) -> Image.Image:
    """A few of the pictures, one under the other."""
    chosen = images[:: max(1, len(images) // NUM_SAMPLED)]
    width, height = images[0].size
    montage = Image.new("RGB", (width, height * len(chosen)))
    for i, image in enumerate(chosen):
        montage.paste(image, (0, i * height))
    return montage
