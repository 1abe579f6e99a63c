"""Keeps `max_red` while SUMO runs an actuated or delay-based programme of the baselines.

Shapes: P stages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from genreplay.envs.sumo.actions import first_signal, show
from genreplay.envs.sumo.baselines.programmes import Programme
from genreplay.envs.sumo.observation import View


class Guard:
    """Ends a green of a programme in time for the stages that somebody waits for.

    The programme goes on in its own order, which cannot skip a stage. A green ends, once it has been as short as it may
    be, where a later stage would become green too late even if all greens before it were the shortest. Where a whole
    cycle of shortest greens takes longer than `max_red`, the bound may be missed.

    Args:
        sumo: the connection.
        view: bounds, and who calls which stage.
        programme: its stages, in the order of the plan.
        calling: reads who calls now (see `View.with_calls`).
    """

    def __init__(self, sumo: Any, view: View, programme: Programme, calling: Callable[[], np.ndarray]):
        self._lights, self._view, self._calling = sumo.trafficlight, view, calling
        plan = view.timing.plan
        states = [stage.state for stage in plan.stages]
        greens = [i for i, phase in enumerate(programme.phases) if phase.state in states]
        self._light, self._num_phases = plan.light, len(programme.phases)
        self._stage = {phase: stage for stage, phase in enumerate(greens)}
        self._signal = first_signal(view.timing)

    def watch(self) -> None:
        """Look at the second just simulated, and end the green if it has to end now."""
        phase = self._lights.getPhase(self._light)
        if phase not in self._stage:
            return
        stage, timing = self._stage[phase], self._view.timing
        shown = show(timing, self._signal, np.array([stage]), np.ones(1)).signal
        self._signal = self._view.with_calls(shown, self._calling()[None])
        if self._signal.last_green[0, stage] >= timing.min_greens[stage] and self._is_late(stage):
            self._lights.setPhase(self._light, (phase + 1) % self._num_phases)

    def _is_late(self, shown: int) -> bool:
        """Whether a stage that is called would begin too late after one more second of this green."""
        timing, waited = self._view.timing, self._signal.waited[0]
        start, before = 1.0, shown
        for stage in ((shown + i) % timing.num_stages for i in range(1, timing.num_stages)):
            start += timing.intergreen[before, stage]
            if waited[stage] > 0 and waited[stage] + start > timing.max_red:
                return True
            start += timing.min_greens[stage]
            before = stage
        return False
