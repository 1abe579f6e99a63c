"""Draws the state of a kitchen with overcooked-ai's own sprites, by Pillow, without a display.

Shapes: C columns of the code. A tile is `SPRITE * scale` pixels wide and high.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genreplay.envs.overcooked.kitchen.kitchen_map import DIRECTIONS, Cell
from genreplay.envs.overcooked.kitchen.package import data_folder
from genreplay.envs.overcooked.kitchen.rules import INTERACT, STAY
from genreplay.envs.overcooked.kitchen.state_code import (
    CELL,
    DIRECTION,
    DISH,
    FIRST_SOUP,
    HELD,
    ONION,
    PLAYER_COLUMNS,
    StateCode,
)

SPRITE = 15
"""Pixels of a sprite as it is stored."""
ACTIONS = ("north", "south", "east", "west", "stay", "interact")
HATS = ("blue", "green")
"""Of cook 0 and cook 1."""
HAT_COLORS = ("#3f9ee0", "#27b47f")
INK, PAPER, FAINT, GOOD, BAD = "#f4f1ea", "#23262d", "#9aa0ab", "#4ccb6e", "#ff4d4d"
WAITING, SEAM = "#ffb52e", "#7d5200"
_TERRAIN = {"X": "counter", "D": "dishes", " ": "floor", "O": "onions", "P": "pot", "S": "serve"}
_COMPASS = ("NORTH", "SOUTH", "EAST", "WEST")
_THINGS = {ONION: "onion", DISH: "dish", **{FIRST_SOUP + n: f"soup_done_tomato_0_onion_{n + 1}" for n in range(3)}}
_IN_HAND = {ONION: "-onion", DISH: "-dish", **{FIRST_SOUP + n: "-soup-onion" for n in range(3)}}


class Artist:
    """Draws states of one kitchen.

    Args:
        code: how they are written.
        scale: pixels of the picture for each pixel of a sprite.
    """

    def __init__(self, code: StateCode, scale: int):
        self.code, self.tile = code, SPRITE * scale
        self._sprites = sprites(scale)
        grid = code.kitchen.grid
        self.size = (len(grid[0]) * self.tile, len(grid) * self.tile)
        """Width and height of a picture, pixels."""
        self._map = Image.new("RGB", self.size)
        draw = ImageDraw.Draw(self._map)
        for x, y in ((x, y) for y, row in enumerate(grid) for x in range(len(row))):
            corner = self._corner((x, y))
            kind = code.kitchen.at((x, y))
            self._map.paste(self._sprites[_TERRAIN[kind]], corner)
            if kind != " ":
                draw.rectangle((*corner, corner[0] + self.tile - 1, corner[1] + self.tile - 1), outline=SEAM)

    def draw(self, state: np.ndarray, actions: np.ndarray | None = None, wrong: Iterable[Cell] = ()) -> Image.Image:
        """The kitchen in a state.

        Args:
            state: `[C]`.
            actions: `[2]`, see `ACTIONS`; an arrow for a step, a ring on what a cook interacts with, a square for one
                who stays.
            wrong: cells to frame in red.
        """
        picture, code = self._map.copy(), self.code
        draw = ImageDraw.Draw(picture)
        for cell, thing in zip(code.counters, state[code.first_counter : code.first_pot].tolist(), strict=True):
            if thing in _THINGS:
                self._paste(picture, _THINGS[thing], self._corner(cell))
        for cell, (onions, timer) in zip(code.pots, state[code.first_pot :].reshape(-1, 2).tolist(), strict=True):
            self._draw_pot(picture, draw, cell, onions, timer)
        corners = [self._corner(code.cells[state[i * PLAYER_COLUMNS + CELL]]) for i in (0, 1)]
        if corners[0] == corners[1]:  # only a generator puts them there
            corners[1] = (corners[1][0] + self.tile // 4, corners[1][1])
        for i, corner in enumerate(corners):
            facing = _COMPASS[state[i * PLAYER_COLUMNS + DIRECTION]]
            held = _IN_HAND.get(int(state[i * PLAYER_COLUMNS + HELD]), "")
            self._paste(picture, f"{facing}{held}", corner)
            self._paste(picture, f"{facing}-{HATS[i]}hat", corner)
        if actions is not None:
            for i, (corner, action) in enumerate(zip(corners, actions.tolist(), strict=True)):
                self._draw_action(draw, corner, action, int(state[i * PLAYER_COLUMNS + DIRECTION]), HAT_COLORS[i])
        for cell in wrong:
            left, top = self._corner(cell)
            box = (left + 1, top + 1, left + self.tile - 2, top + self.tile - 2)
            draw.rectangle(box, outline=BAD, width=max(2, self.tile // 15))
        return picture

    def _draw_pot(self, picture: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, onions: int, timer: int) -> None:
        """A pot with its onions; under it a bar that fills while they cook, green once the soup is ready."""
        if not onions:
            return
        cook_time = self.code.kitchen.cook_times[onions - 1]
        is_ready = timer > cook_time
        left, top = self._corner(cell)
        self._paste(picture, f"soup_{'cooked' if is_ready else 'idle'}_tomato_0_onion_{onions}", (left, top))
        if timer:
            unit = self.tile // SPRITE
            box = (left + unit, top + 12 * unit, left + 14 * unit - 1, top + 14 * unit - 1)
            draw.rectangle(box, fill=PAPER)
            filled = box[0] + round((box[2] - box[0]) * min(timer - 1, cook_time) / cook_time)
            draw.rectangle((box[0], box[1], filled, box[3]), fill=GOOD if is_ready else WAITING)

    def _draw_action(
        self, draw: ImageDraw.ImageDraw, corner: tuple[int, int], action: int, facing: int, color: str
    ) -> None:
        half, unit = self.tile / 2, self.tile / SPRITE
        x, y = corner[0] + half, corner[1] + half
        if action == STAY:
            draw.rectangle((x - 2 * unit, y - unit, x + 2 * unit, y + 3 * unit), fill=color, outline=INK, width=2)
            return
        dx, dy = DIRECTIONS[facing if action == INTERACT else action]
        if action == INTERACT:
            x, y = x + dx * self.tile, y + dy * self.tile
            for radius, ink in ((6.0 * unit, INK), (5.4 * unit, color)):
                box = (x - radius, y - radius, x + radius, y + radius)
                draw.ellipse(box, outline=ink, width=max(2, round(unit)))
            return
        # From the edge of the cook's own tile into the next one, as a triangle.
        tip, foot, wide = 11 * unit, 5 * unit, 4 * unit
        points = [
            (x + dx * tip, y + dy * tip),
            (x + dx * foot - dy * wide, y + dy * foot + dx * wide),
            (x + dx * foot + dy * wide, y + dy * foot - dx * wide),
        ]
        draw.polygon(points, fill=color, outline=INK, width=2)

    def _paste(self, picture: Image.Image, name: str, corner: tuple[int, int]) -> None:
        picture.paste(self._sprites[name], corner, self._sprites[name])

    def _corner(self, cell: Cell) -> tuple[int, int]:
        return cell[0] * self.tile, cell[1] * self.tile


@cache
def sprites(scale: int) -> dict[str, Image.Image]:
    """Every sprite (RGBA) of overcooked-ai by its name, such as `onion` or `NORTH-bluehat`, `scale` times as large."""
    folder, found = data_folder() / "graphics", {}
    for sheet in ("terrain", "objects", "soups", "chefs"):
        about = json.loads((folder / f"{sheet}.json").read_text(encoding="utf-8"))
        with Image.open(folder / f"{sheet}.png") as file:
            whole = file.convert("RGBA")
        # The sheet of soups is written by another program than the others.
        listed = about["frames"].items() if "frames" in about else _named(about["textures"][0]["frames"])
        for name, entry in listed:
            left, top = entry["frame"]["x"], entry["frame"]["y"]
            sprite = whole.crop((left, top, left + SPRITE, top + SPRITE))
            size = (SPRITE * scale, SPRITE * scale)
            found[name.removesuffix(".png")] = sprite.resize(size, Image.Resampling.NEAREST)
    return found


def _named(entries: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(entry["filename"], entry) for entry in entries]


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The package's Roboto, `size` pixels high."""
    return ImageFont.truetype(str(data_folder() / "fonts" / "Roboto-Regular.ttf"), size)


def write(draw: ImageDraw.ImageDraw, left: float, top: float, text: str, size: int, color: str, room: float) -> None:
    """Write a line, cut off with an ellipsis where it is wider than `room` pixels."""
    letters = font(size)
    if letters.getlength(text) > room:
        while text and letters.getlength(text + "…") > room:
            text = text[:-1]
        text += "…"
    draw.text((left, top), text, color, letters)


def wrapped(text: str, size: int, room: float) -> list[str]:
    """The lines that `text` takes where one may be `room` pixels wide."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font(size).getlength(longer) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
