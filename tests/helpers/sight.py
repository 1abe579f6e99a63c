"""What a rule of the baselines sees, made up."""

from collections.abc import Mapping, Sequence


class FakeSight:
    """See `rules.Sight`; whatever is left out is empty."""

    def __init__(
        self,
        vehicles: Mapping[str, float] | None = None,
        halting: Mapping[str, float] | None = None,
        coming: Sequence[int] = (),
        walkers: Sequence[int] = (),
        quiet: Mapping[str, float] | None = None,
        waited: Sequence[float] = (0.0,) * 8,
        clock: float = 0.0,
    ):
        self.vehicles = lambda lane: (vehicles or {}).get(lane, 0)
        self.halting = lambda lane: (halting or {}).get(lane, 0)
        self.coming = lambda: frozenset(coming)
        self.walkers = lambda: frozenset(walkers)
        self.quiet = lambda loop: (quiet or {}).get(loop, 1e6)
        self.waited = lambda: waited
        self.clock = lambda: clock
