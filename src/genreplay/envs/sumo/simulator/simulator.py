"""One intersection in SUMO: sumo-rl's environment with continuous green durations. Runs in a worker process.

Shapes: P stages, O observation, A action, M movements.

libsumo has one simulation a process; sumo-rl uses it instead of TraCI if LIBSUMO_AS_TRACI is set at import.
"""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import sumo

os.environ.setdefault("SUMO_HOME", sumo.SUMO_HOME)  # sumo-rl needs it at import

from sumo_rl.environment import env as sumo_rl_env
from sumo_rl.environment.env import SumoEnvironment

from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.actions import Decision, Signal, decode_action, first_signal, show
from genreplay.envs.sumo.actuated import goes_on, reach_metres
from genreplay.envs.sumo.baselines.cabinet import ZONE
from genreplay.envs.sumo.baselines.programmes import Programme
from genreplay.envs.sumo.baselines.queue_rule import ActuatedQueue
from genreplay.envs.sumo.baselines.table import EpisodeContext, baselines_of
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import read_intersection
from genreplay.envs.sumo.network.naming import read_names
from genreplay.envs.sumo.observation import View
from genreplay.envs.sumo.reward import decision_reward
from genreplay.envs.sumo.sensors.full import Full
from genreplay.envs.sumo.sensors.table import KINDS, detectors_to_xml, failed_lanes
from genreplay.envs.sumo.signals.timing import Timing, timing_of
from genreplay.envs.sumo.simulator.command import Options, episode_files, sumo_command
from genreplay.envs.sumo.simulator.detectors import Detectors, loops_to_xml
from genreplay.envs.sumo.simulator.episode import Episode, EpisodeRequest, Light, Outcome
from genreplay.envs.sumo.simulator.following import follow_queues, follow_rule, run_programme
from genreplay.envs.sumo.simulator.guard import Guard
from genreplay.envs.sumo.simulator.meter import Meter
from genreplay.envs.sumo.simulator.readings import Readings
from genreplay.envs.sumo.simulator.recorder import Recorder
from genreplay.envs.sumo.simulator.results import greens, read_results
from genreplay.envs.sumo.traffic.demand import Demand, Traffic
from genreplay.envs.sumo.traffic.notices import differences, read_log
from genreplay.envs.sumo.traffic.routes import count_vehicles
from genreplay.envs.sumo.traffic.scenarios import resolve
from genreplay.envs.sumo.traffic.ways import has_junctions


class Simulator(SumoEnvironment):
    """Episodes of one intersection, one decision at a time.

    Args:
        config: the environment's.
        folder: for route files and SUMO's output; each episode overwrites its files.
    """

    episode: Episode
    """The running or the last one."""
    light: Light
    """Of the episode, unless SUMO runs a programme."""
    detectors: Detectors
    """What rules and actuated greens read, likewise."""
    signal: Signal
    """State of the light at the last decision."""
    notices: list[str]
    """What SUMO dropped or ignored in the episode, once it is over (see `notices`)."""

    def __init__(self, config: SumoConfig, folder: Path):
        scenario = resolve(config)
        self.config = config
        self.intersection = read_intersection(scenario.net_file, config)
        self.names = read_names(scenario.net_file, self.intersection)
        self.timing = timing_of(config, self.intersection.plan)
        self.full = View(self.intersection, self.timing, Full(self.intersection, self.timing))
        self.view = View(self.intersection, self.timing, KINDS[config.sensors](self.intersection, self.timing))
        self._demand = Demand(config.demand, scenario, self.intersection)
        self._files = episode_files(folder, scenario.net_file)
        self._write_additional()
        super().__init__(
            str(self._files.network),
            str(self._files.routes),
            begin_time=scenario.begin_time,
            num_seconds=scenario.episode_seconds,
        )

    def _write_additional(self) -> None:
        """The user's definitions and the detectors of the sensors, if there are any."""
        root = detectors_to_xml(self.view.sensors.detectors)
        root.extend([] if self._demand.additional is None else list(self._demand.additional))
        self._has_additional = len(root) > 0
        ElementTree.ElementTree(root).write(self._files.additional, encoding="unicode")

    def start(self, request: EpisodeRequest) -> list[float]:
        """Begin an episode with the first stage green on empty roads; the first observation `[O]`."""
        traffic = self._demand.sample(request.seed, request.evaluation, request.demand)
        self._begin(request, traffic, is_cut=request.evaluation)
        self._light_up()
        return self._observe().tolist()

    def decide(self, action: np.ndarray) -> Outcome:
        """Carry out one decision `[A]`."""
        episode, before = self.episode, self.episode.elapsed
        self.act(self.timing, np.asarray(action, dtype=np.float64)[None])
        observation = self._observe()
        duration = float(episode.elapsed - before)
        everything = observation
        if episode.detectors is not None:
            everything = self.full.observe(episode.readings.values(), self.signal)
        seen = everything[None].astype(np.float64)
        reward = decision_reward(self.full, seen, np.array([duration]), self.full.capacity)
        metrics = self._finish() if episode.is_over else {}
        return Outcome(observation.tolist(), float(reward[0]), duration, episode.is_over, metrics)

    def baseline(
        self,
        request: EpisodeRequest,
        name: str,
        settings: dict[str, Any],
        limit: float = math.inf,
        brief: bool = False,
    ) -> dict[str, float]:
        """Metrics of the same episode under the baseline `name` (see `baselines.table`); `brief` leaves out those that
        take time to measure.

        An episode of a programme is stopped once its delay is certain to end above `limit` seconds; its metrics are
        then only `delay`, a lower bound, and `simulated_seconds`.
        """
        traffic = self._demand.sample(request.seed, request.evaluation, request.demand)
        context = EpisodeContext(
            self.intersection,
            self.timing,
            partial(self._demand.mean_flows, traffic),
            self._demand.intervals(traffic),
            request.seed,
            settings,
        )
        baseline = baselines_of(self.intersection.plan)[name]
        controller = baseline.build(context)
        loops = loops_to_xml(self.intersection) if baseline.has_loops else None
        additional = controller.to_xml(self.intersection.light) if isinstance(controller, Programme) else loops
        self._begin(request, traffic, additional, is_cut=True, brief=brief)
        if controller is None or isinstance(controller, Programme):
            if controller is not None and controller.is_prolonged:
                self.episode.watch = Guard(self.sumo, self.view, controller, self.episode.sensors.calling).watch
            return self._run_programme(count_vehicles(traffic.root), limit)
        self._light_up()
        if isinstance(controller, ActuatedQueue):
            follow_queues(self, controller)
        else:
            follow_rule(self, controller)
        return self._finish()

    def _run_programme(self, num_vehicles: float, limit: float) -> dict[str, float]:
        # Each vehicle that stands or waits to enter loses a second each second: a lower bound of the delay of all
        # vehicles, of which a warm-up leaves some out.
        if run_programme(self, limit * num_vehicles):
            return self._finish()
        self.close()
        episode = self.episode
        return {"delay": episode.queue / num_vehicles, "simulated_seconds": float(episode.elapsed)}

    def greens(self) -> list[list[int]]:
        """The greens of the last episode (see `results.greens`); empty where its seconds were not measured."""
        meter = self.episode.meter
        return [] if meter is None else greens(meter.states, self.intersection.plan)

    def _light_up(self) -> None:
        """Show the first stage, where SUMO runs no programme of its own."""
        self.light = Light(self.sumo, self.intersection.plan)
        self.signal = first_signal(self.timing)
        self.detectors = Detectors(self.sumo, self.intersection, lambda: self.signal.waited[0])

    def act(self, timing: Timing, action: np.ndarray) -> None:
        """One decision `[1, A]`, in the action mode of `timing`."""
        self.episode.clear()
        decision = decode_action(timing, self.signal, action)
        if timing.action_mode == "actuated":
            self._actuate(timing, decision, float(reach_metres(action)[0]))
        else:
            self.carry_out(decision)

    def carry_out(self, decision: Decision) -> None:
        """Show the stages of a decision for its greens."""
        for number, green in zip(decision.order[0], decision.greens[0], strict=True):
            self.light.switch(int(number), self.episode.run)
            self.episode.run(int(green))
        self._end(decision)

    def _actuate(self, timing: Timing, longest: Decision, reach: float) -> None:
        """Show a stage until its green ends by itself (see `actuated.goes_on`), or at its longest."""
        plan, detectors, number = timing.plan, self.detectors, longest.order[:, 0]
        stage, most = int(number[0]), int(longest.greens[0, 0])
        self.light.switch(stage, self.episode.run)
        green = plan.stages[stage].min_green
        self.episode.run(green)
        while green < most and goes_on(
            plan, stage, detectors.approaching(max(reach, ZONE)), detectors.walkers(), reach
        ):
            self.episode.run(1)
            green += 1
        self._end(show(timing, self.signal, number, np.array([float(green)])))

    def _end(self, decision: Decision) -> None:
        """Take over the signal state after a decision, with what the sensors see now."""
        self.signal = self.view.with_calls(decision.signal, self.episode.sensors.calling()[None])

    def _observe(self) -> np.ndarray:
        return self.view.observe(self.episode.sensors.values(), self.signal)

    def _begin(
        self,
        request: EpisodeRequest,
        traffic: Traffic,
        additional: Element | None = None,
        is_cut: bool = False,
        brief: bool = False,
    ) -> None:
        self.close()
        self._root, self.notices = traffic.root, []
        ElementTree.ElementTree(traffic.root).write(self._files.routes, encoding="unicode")
        if additional is not None:
            ElementTree.ElementTree(additional).write(self._files.programme, encoding="unicode")
        self.sumo_seed = derive_seed(request.seed, "sumo")
        self._start_simulation(has_programme=additional is not None, has_emissions=is_cut and not brief)
        failed = failed_lanes(self.intersection, self.config.sensor_failures, request.seed)
        recorder = None if request.film is None else Recorder(self.sumo, self.intersection, *request.film)
        self.episode = Episode(
            self._sumo_step,
            Readings(self.sumo, self.intersection, self.full.capacity),
            self.view.sensors.read(self.sumo, failed),
            recorder,
            self.sim_max_time - self.begin_time,
            traffic.level,
            is_cut,
        )
        if is_cut:
            self._measure(self.episode, brief)

    def _measure(self, episode: Episode, brief: bool) -> None:
        """Give an episode the warm-up and the run-out of the options, and unless `brief` measure each second of it."""
        simulation = self.sumo.simulation
        episode.warmup, episode.runout = self.config.warmup_seconds, self.config.runout_seconds
        episode.is_empty = lambda: simulation.getMinExpectedNumber() == 0
        if not brief:
            episode.meter = Meter(self.sumo, self.intersection, episode.warmup, episode.num_seconds)

    def _start_simulation(self, has_programme: bool = False, has_emissions: bool = False) -> None:
        options = Options(
            self.begin_time,
            self.sumo_seed,
            self.config.junction_blocker_seconds,
            has_programme,
            has_additional=self._has_additional,
            has_junction_zones=has_junctions(self._root),
            has_emissions=has_emissions,
        )
        command = sumo_command(self._sumo_binary, self._files, options)
        traci = sumo_rl_env.traci
        if sumo_rl_env.LIBSUMO:
            traci.start(command)
            self.sumo = traci
        else:
            traci.start(command, label=self.label)
            self.sumo = traci.getConnection(self.label)
        if self.config.programme is not None and not has_programme:
            self.sumo.trafficlight.setProgram(self.intersection.light, self.config.programme)

    def _finish(self) -> dict[str, float]:
        """Close the simulation, upon which SUMO writes the trips; the episode's metrics."""
        episode, simulation, types = self.episode, self.sumo.simulation, self.sumo.vehicletype
        teleports, vehicles, persons = (
            int(simulation.getParameter("", f"stats.{name}"))
            for name in ("teleports.total", "vehicles.loaded", "persons.loaded")
        )
        now = float(simulation.getTime())
        classes = {name: types.getVehicleClass(name) for name in types.getIDList()}
        if episode.meter is not None:
            episode.meter.finish()
        self.close()
        self.notices = [
            *read_log(self._files.log),
            *differences(self._root, self.begin_time, now, vehicles, persons),
        ]
        metrics, episode.movements = read_results(
            episode, self._files.tripinfo, self.begin_time, classes, self.intersection, self.names
        )
        return {**metrics, "teleports": float(teleports), **episode.level}
