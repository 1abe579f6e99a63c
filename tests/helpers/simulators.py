"""SUMO in the test's own process."""

import itertools
import os
from typing import Any


def recording_simulator() -> Any:
    """The simulator class, in this process, recording the signal's state after each second in `states`."""
    os.environ["LIBSUMO_AS_TRACI"] = "1"
    from genreplay.envs.sumo.simulator.simulator import Simulator

    class Recording(Simulator):
        def start(self, request):
            self.states = []
            return super().start(request)

        def baseline(self, *args, **kwargs):
            self.states = []
            return super().baseline(*args, **kwargs)

        def _sumo_step(self):
            super()._sumo_step()
            self.states.append(self.sumo.trafficlight.getRedYellowGreenState(self.intersection.light))

    return Recording


def longest_wait(simulator):
    """The longest time that somebody was on a section while no stage that it calls was green, s."""
    plan, timing = simulator.intersection.plan, simulator.timing
    states = [stage.state for stage in plan.stages]
    found = 0
    for i, links in enumerate(simulator.intersection.section_links):
        for group in {plan.serving(link) for link in links if link not in plan.always_green}:
            if not 0 < len(group) < timing.num_stages:
                continue
            waits = [
                present[i] > 0 and not (state in states and states.index(state) in group)
                for state, present in zip(simulator.states, simulator.present, strict=True)
            ]
            found = max(found, *(len(list(run)) for is_waiting, run in itertools.groupby(waits) if is_waiting), 0)
    return found
