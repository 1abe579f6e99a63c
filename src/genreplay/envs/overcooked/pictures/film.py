"""Pictures of an episode and of transitions: kitchens with a line for each cook's action.

Shapes: H and W height and width of a picture, C columns of the code, N transitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from tensordict import TensorDictBase

from genreplay.envs.overcooked.kitchen.kitchen_map import Cell
from genreplay.envs.overcooked.kitchen.rules import NUM_ACTIONS, Kitchen
from genreplay.envs.overcooked.kitchen.state_code import CELL, PLAYER_COLUMNS, StateCode
from genreplay.envs.overcooked.kitchen.validity import REASONS, impossible, reasons
from genreplay.envs.overcooked.pictures.kitchen import (
    ACTIONS,
    BAD,
    FAINT,
    GOOD,
    HAT_COLORS,
    HATS,
    INK,
    PAPER,
    Artist,
    wrapped,
    write,
)
from genreplay.transitions.keys import ACTION, EVENT, NEXT_OBSERVATION, OBSERVATION, REWARD, SHAPED_REWARD

FILM_SCALE, PAIR_SCALE = 4, 3
"""Pixels for each pixel of a sprite: of an episode, and of two kitchens side by side."""
MIN_WIDTH, MARGIN, LINE = 420, 14, 22
"""Width of a picture, its margin and the height of a line of text, pixels."""


class FrameState:
    """The state of an episode after a step, for the lines around the kitchen."""

    def __init__(self, names: Sequence[str]):
        self.names = names
        """Who plays each cook."""
        self.time, self.score, self.gain = 0, 0.0, 0.0
        """Steps so far, sparse reward so far, and that of the last step."""
        self.actions: np.ndarray | None = None
        """`[2]`, of the last step."""
        self.events: np.ndarray | None = None
        """`[2]`, of the last step."""
        self.deliveries: list[int] = []
        """Times of the soups that were served."""


class FrameRenderer:
    """An episode's pictures: score and time above the kitchen, below it the cooks and the episode's soups so far.

    Args:
        kitchen: to draw.
        horizon: steps of the episode.
    """

    def __init__(self, kitchen: Kitchen, horizon: int):
        self.kitchen, self.horizon = kitchen, horizon
        self._artist = Artist(kitchen.code, FILM_SCALE)
        width, height = self._artist.size
        self.size = (max(width, MIN_WIDTH) + 2 * MARGIN, height + 5 * LINE + 3 * MARGIN)
        """Width and height, pixels."""
        self.place = ((self.size[0] - width) // 2, 2 * LINE + MARGIN + 4)
        """Where the kitchen's upper left corner is."""
        self._blank = Image.new("RGB", self.size, PAPER)
        draw = ImageDraw.Draw(self._blank)
        write(draw, MARGIN, MARGIN + LINE + 4, kitchen.code.kitchen.name, 13, FAINT, self.size[0] - 2 * MARGIN)

    def draw(self, state: np.ndarray, frame: FrameState) -> np.ndarray:
        """The picture `[H, W, 3]` (uint8) of a state `[C]`."""
        width = self.size[0]
        picture = self._blank.copy()
        draw = ImageDraw.Draw(picture)
        write(draw, MARGIN, MARGIN, f"{frame.score:g} points", 24, INK, 170)
        if frame.gain:
            write(draw, MARGIN + 175, MARGIN, f"{frame.gain:+g}", 24, GOOD, 80)
        write(draw, width - MARGIN - 130, MARGIN + 6, f"step {frame.time} of {self.horizon}", 16, FAINT, 130)
        picture.paste(self._artist.draw(state), self.place)
        top = self.place[1] + self._artist.size[1] + MARGIN
        for i, name in enumerate(frame.names):
            done = None if frame.actions is None else _told(self.kitchen, frame.actions[i], frame.events, i)
            write_cook(draw, MARGIN, top + i * LINE, i, name, done, width - 2 * MARGIN)
        self._draw_time(draw, frame, top + 2 * LINE + 10)
        return np.asarray(picture)

    def _draw_time(self, draw: ImageDraw.ImageDraw, frame: FrameState, top: int) -> None:
        """The episode from left to right, with a mark for each soup."""
        left, right = MARGIN, self.size[0] - MARGIN

        def place(time: float) -> float:
            return left + (right - left) * time / self.horizon

        draw.rectangle((left, top, right, top + 6), fill="#3a3f49")
        draw.rectangle((left, top, place(frame.time), top + 6), fill=FAINT)
        for time in frame.deliveries:
            draw.rectangle((place(time) - 2, top - 3, place(time) + 2, top + 9), fill=GOOD)


def picture_transitions(kitchen: Kitchen, transitions: TensorDictBase) -> Iterator[np.ndarray]:
    """Pictures `[H, W, 3]` (uint8) of joint transitions `[N]`: before with both actions, after, rewards, and a check.

    What the kitchen's rules do not allow has a red frame, the reasons in red, and red frames around what is not as the
    kitchen would have made it.
    """
    artist, code = Artist(kitchen.code, PAIR_SCALE), kitchen.code
    before, after = (code.from_one_hot(transitions[key].numpy()) for key in (OBSERVATION, NEXT_OBSERVATION))
    actions = _choices(transitions[ACTION], NUM_ACTIONS)
    events = None if EVENT not in transitions.keys(True) else _choices(transitions[EVENT], len(kitchen.event_names))
    flags = reasons(kitchen, transitions)
    cannot_be = np.any(list(impossible(kitchen, before).values()), axis=0)
    expected, _ = kitchen.step(before, actions)
    shaped = transitions.get(SHAPED_REWARD, None)
    width, height = artist.size
    blank = Image.new(
        "RGB", (max(2 * width + 4 * MARGIN, MIN_WIDTH) + 2 * MARGIN, height + 8 * LINE + 2 * MARGIN), PAPER
    )
    size = blank.size
    for row in range(len(before)):
        picture = blank.copy()
        draw = ImageDraw.Draw(picture)
        room = size[0] - 2 * MARGIN
        write(draw, MARGIN, MARGIN, f"transition {row + 1} of {len(before)}", 16, INK, room)
        top = MARGIN + LINE + LINE
        wrong = [] if cannot_be[row] else _differing(code, expected[row], after[row])
        places = MARGIN, size[0] - MARGIN - width
        pair = artist.draw(before[row], actions[row]), artist.draw(after[row], wrong=wrong)
        for left, title, kitchen_picture in zip(places, ("before", "after"), pair, strict=True):
            write(draw, left, top - LINE + 2, title, 13, FAINT, width)
            picture.paste(kitchen_picture, (left, top))
        _draw_arrow(draw, size[0] / 2, top + height / 2)
        top += height + MARGIN // 2
        for i, hat in enumerate(HATS):
            done = _told(kitchen, actions[row, i], None if events is None else events[row], i)
            write_cook(draw, MARGIN, top + i * LINE, i, f"{hat} hat", done, room)
        paid = f"reward {float(transitions[REWARD][row]):g}"
        if shaped is not None:
            paid += " · shaped {:g} and {:g}".format(*shaped[row].tolist())
        write(draw, MARGIN, top + 2 * LINE, paid, 15, INK, room)
        found = [reason for reason, flag in zip(REASONS, flags[row], strict=True) if flag]
        check = f"impossible: {', '.join(found)}" if found else "as the kitchen itself would do it"
        for i, line in enumerate(wrapped(check, 15, room)[:3]):
            write(draw, MARGIN, top + (3 + i) * LINE, line, 15, BAD if found else GOOD, room)
        if found:
            draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=BAD, width=5)
        yield np.asarray(picture)


def write_cook(
    draw: ImageDraw.ImageDraw, left: float, top: float, cook: int, name: str, done: str | None, room: float
) -> None:
    """A line: a cook's colour, who it is and what it did."""
    draw.ellipse((left, top + 4, left + 11, top + 15), fill=HAT_COLORS[cook], outline=INK)
    write(draw, left + 20, top, name if done is None else f"{name}: {done}", 15, INK, room - 20)


def _told(kitchen: Kitchen, action: int, events: np.ndarray | None, cook: int) -> str:
    event = "" if events is None or not events[cook] else f" ({kitchen.event_names[events[cook]]})"
    return f"{ACTIONS[action]}{event}"


def _draw_arrow(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    draw.line((x - 12, y, x + 6, y), fill=FAINT, width=4)
    draw.polygon(((x + 14, y), (x + 3, y - 8), (x + 3, y + 8)), fill=FAINT)


def _differing(code: StateCode, expected: np.ndarray, found: np.ndarray) -> list[Cell]:
    """Cells of what stands in `found` `[C]` but not in `expected` `[C]`."""
    cooks = [code.cells[found[i * PLAYER_COLUMNS + CELL]] for i in (0, 1)]
    places = [cell for cell in cooks for _ in range(PLAYER_COLUMNS)]
    places += [*code.counters, *(pot for pot in code.pots for _ in range(2))]
    return [place for place, one, other in zip(places, expected, found, strict=True) if one != other]


def _choices(one_hots: torch.Tensor, size: int) -> np.ndarray:
    """`[N, 2]` choices of two one-hots side by side, `[N, 2 * size]`."""
    return one_hots.unflatten(-1, (2, size)).argmax(-1).numpy()
