from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from genreplay.common.images import write_gif

ROAD, LIGHT = (86, 91, 97), (46, 230, 107)


def test_frequent_colours_stay_as_they_are_and_rare_ones_come_close(tmp_path: Path) -> None:
    """A road on a ground of many shades, and a light of four pixels that is in the second picture only."""
    shades = np.random.default_rng(0).integers(0, 256, size=(60, 80, 3), dtype=np.uint8)
    shades[20:40] = ROAD
    lit = shades.copy()
    lit[30:32, 40:42] = LIGHT
    write_gif([shades, lit], tmp_path / "film.gif", milliseconds=200)
    film: Any
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.info["duration"]) == (2, 200)
        film.seek(1)
        shown = np.asarray(film.convert("RGB")).astype(int)
    assert (shown[22:28] == ROAD).all()
    assert np.abs(shown[30:32, 40:42] - LIGHT).max() <= 64
