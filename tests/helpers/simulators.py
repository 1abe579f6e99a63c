"""SUMO in the test's own process."""

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
