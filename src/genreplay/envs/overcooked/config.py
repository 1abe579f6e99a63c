"""Configuration of Overcooked environments. No heavy imports: config errors must answer at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Literal, NamedTuple

from genreplay.common.errors import FieldError, require

DYNAMICS = ("old", "new")
STARTS = ("standard", "random")
SPLITS = ("train", "test")
SELF = "self"
"""The partner that is the policy itself."""
CHOICES = "self, stay, random, greedy, greedy:SOFTNESS, human, human:test, checkpoint:FOLDER, virtual:FOLDER[:CODE]"


class PartnerName(NamedTuple):
    """A partner's name, parsed."""

    kind: str
    """`self`, `stay`, `random`, `greedy`, `human`, `checkpoint` or `virtual`."""
    softness: float = 0.0
    """Of `greedy`."""
    split: str = "train"
    """Of `human`: the split of the human play that it was cloned from."""
    folder: str = ""
    """Of `checkpoint` and `virtual`: the folder of the checkpoint."""
    code: int | None = None
    """Of `virtual`: index of the generator's partner; None for all of them together."""


def parse_partner(name: str) -> PartnerName:
    """Read a partner's name.

    Raises:
        FieldError: there is no such partner.
    """
    kind, colon, rest = name.partition(":")
    if kind in (SELF, "stay", "random") and not colon:
        return PartnerName(kind)
    if kind == "greedy":
        softness = _number(rest) if colon else 0.0
        require(0.0 < softness < inf or not colon, "partners", f"{name!r}: write a softness above 0, as in greedy:0.5")
        return PartnerName(kind, softness=softness)
    if kind == "human":
        require(not colon or rest in SPLITS, "partners", f"{name!r}: write human, or human:test")
        return PartnerName(kind, split=rest or "train")
    if kind == "checkpoint" and rest:
        return PartnerName(kind, folder=rest)
    if kind == "virtual" and rest:
        folder, _, code = rest.rpartition(":")
        if folder and code.isdecimal():
            return PartnerName(kind, folder=folder, code=int(code))
        return PartnerName(kind, folder=rest)
    raise FieldError("partners", f"there is no partner {name!r}; choose among {CHOICES}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


@dataclass
class OvercookedConfig:
    """Two cooks who make onion soup together."""

    FACTS = (("layout", "layout"), ("partners", "partners"))
    """Options that a report shows first, by label; the first one that is set names the environment."""
    name: str = "overcooked"
    layout: str = "cramped_room"
    """A layout that comes with overcooked-ai by its name, or the path of your own `.layout` file."""
    dynamics: str = "old"
    """`old`: a pot with three onions starts to cook by itself, as in the published baselines and the human play; `new`:
    a cook must start it, as in overcooked-ai 1.1.0."""
    horizon: int = 400
    """Steps of an episode."""
    start: str = "standard"
    """Where training episodes begin: `standard`, the layout's own start; `random`, any possible state. Policies are
    evaluated from the standard start."""
    partners: list[str] = field(default_factory=list)
    """Training partners: each training episode samples one of them and the learner's seat. Empty: self-play, where both
    cooks learn. Among self, stay, random, greedy, greedy:SOFTNESS, human, human:test, checkpoint:FOLDER and
    virtual:FOLDER[:CODE]; a name listed twice is sampled twice as often."""

    def __post_init__(self) -> None:
        require(bool(self.layout.strip()), "layout", "name a layout, such as cramped_room, or your own .layout file")
        for name, choices in (("dynamics", DYNAMICS), ("start", STARTS)):
            value = getattr(self, name)
            require(value in choices, name, f"must be one of {', '.join(choices)}, not {value!r}")
        require(self.horizon >= 1, "horizon", f"must be at least 1 step, not {self.horizon}")
        for partner in self.partners:
            parse_partner(partner)

    @property
    def learners(self) -> Literal["both", "one", "any"]:
        """Which seats learn from a step: always both, always one, or depending on the episode's partner."""
        selves = [name == SELF for name in self.partners]
        return "both" if all(selves) else "any" if any(selves) else "one"

    @property
    def num_partners(self) -> int:
        """P, the width of the partner's code."""
        return max(1, len(self.partners))
