"""Configuration of Overcooked worlds. No heavy imports: config errors must answer at once."""

from __future__ import annotations

from dataclasses import dataclass

from genreplay.errors import require

DYNAMICS = ("old", "new")
OBSERVATIONS = ("code", "grid")
STARTS = ("standard", "random")
LEARNERS = ("both", "one")


@dataclass
class OvercookedConfig:
    """Two cooks who make onion soup together."""

    name: str = "overcooked"
    layout: str = "cramped_room"
    """A layout that comes with overcooked-ai by its name, or the path of your own `.layout` file."""
    dynamics: str = "old"
    """`old`: a pot with three onions starts to cook by itself, as in the published baselines and the human play; `new`:
    a cook must start it, as in overcooked-ai 1.1.0."""
    horizon: int = 400
    """Steps of an episode."""
    observation: str = "code"
    """What a cook sees: `code`, one-hots of the compact code of the state; `grid`, overcooked-ai's lossless grid."""
    start: str = "standard"
    """Where training episodes begin: `standard`, the layout's own start; `random`, any possible state. Policies are
    judged from the standard start."""
    learners: str = "both"
    """Who learns from a step: `both` cooks (self-play), or `one` beside a partner, in a seat drawn for each episode."""
    num_partners: int = 1
    """How many partners there are; one is drawn for each episode, and its code stored with each step."""

    def __post_init__(self) -> None:
        require(bool(self.layout.strip()), "layout", "name a layout, such as cramped_room, or your own .layout file")
        for field, choices in (
            ("dynamics", DYNAMICS),
            ("observation", OBSERVATIONS),
            ("start", STARTS),
            ("learners", LEARNERS),
        ):
            value = getattr(self, field)
            require(value in choices, field, f"must be one of {', '.join(choices)}, not {value!r}")
        require(self.horizon >= 1, "horizon", f"must be at least 1 step, not {self.horizon}")
        require(self.num_partners >= 1, "num_partners", f"must be at least 1, not {self.num_partners}")
