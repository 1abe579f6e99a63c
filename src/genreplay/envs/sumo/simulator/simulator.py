"""One intersection in SUMO: sumo-rl's environment with continuous green durations. Runs in a worker process.

Shapes: S sections, B approaches, P phases, O observation, A action.

libsumo has one simulation a process; sumo-rl takes it instead of TraCI where LIBSUMO_AS_TRACI is set at import.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import sumo

os.environ.setdefault("SUMO_HOME", sumo.SUMO_HOME)  # sumo-rl asks for it at import

from sumo_rl.environment import env as sumo_rl_env
from sumo_rl.environment.env import SumoEnvironment
from sumo_rl.environment.traffic_signal import TrafficSignal

from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.actions import SINCE_GREEN_LIMIT, Signal, plan, timing_of
from genreplay.envs.sumo.baselines.programmes import Changes, Programme
from genreplay.envs.sumo.baselines.rules import LaneCounts, Rule
from genreplay.envs.sumo.baselines.table import BASELINES, Site
from genreplay.envs.sumo.config import SumoConfig
from genreplay.envs.sumo.network.intersection import cleared_state, read_intersection, yellow_state
from genreplay.envs.sumo.observation import BACKLOG_LIMIT, COUNT_LIMIT, Counts, View
from genreplay.envs.sumo.simulator.camera import Camera
from genreplay.envs.sumo.simulator.tripinfo import read_trips, summary
from genreplay.envs.sumo.traffic.demand import Demand, Traffic
from genreplay.envs.sumo.traffic.route_flows import route_flows
from genreplay.envs.sumo.traffic.routes import count_vehicles
from genreplay.envs.sumo.traffic.scenarios import resolve

CHECK_SECONDS = 60
"""How often an episode with a limit is looked at."""


@dataclass
class Decided:
    """What one decision led to."""

    observation: list[float]
    """`[O]`, exact float32 values."""
    reward: float
    duration: float
    """s"""
    truncated: bool
    """The episode is over."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Figures of the episode, once it is over."""

    def to_message(self) -> dict[str, Any]:
        """As plain JSON."""
        return vars(self)


class GreenSignal(TrafficSignal):
    """A light that shows what it is told: sumo-rl's signal without its fixed decision interval."""

    def _build_phases(self) -> None:
        self.num_green_phases = len(self.env.intersection.greens)
        self.show(self.env.intersection.greens[0])

    def show(self, state: str) -> None:
        """Show this state until told otherwise."""
        self.sumo.trafficlight.setRedYellowGreenState(self.id, state)


class Simulator(SumoEnvironment):
    """Episodes of one intersection, one decision at a time.

    Args:
        config: of the world.
        folder: for route files and SUMO's output; its files are overwritten by each episode.
    """

    def __init__(self, config: SumoConfig, folder: Path):
        scenario = resolve(config)
        self.config, self.folder = config, folder
        self.intersection = read_intersection(scenario.net_file, config.upstream_metres)
        self.yellow_time = self.intersection.yellow_time if config.yellow_time is None else config.yellow_time
        self.all_red_time = self.intersection.all_red_time if config.all_red_time is None else config.all_red_time
        self.timing = timing_of(config, len(self.intersection.greens), self.yellow_time + self.all_red_time)
        self.view = View(self.intersection, self.timing, config.reward_scale)
        self._demand = Demand(config.demand, scenario, self.intersection)
        self._tripinfo = folder / "tripinfo.xml"
        self._episode_queue: float = 0.0
        self.film: tuple[int, int] | None = None
        """Film what lies between these two seconds, in the next episodes; None for none."""
        self._programme_file = folder / "programme.add.xml"
        yellow_time, all_red_time = self.yellow_time, self.all_red_time
        super().__init__(
            str(scenario.net_file),
            str(folder / "demand.rou.xml"),
            use_gui=config.backend == "gui",
            begin_time=scenario.begin_time,
            num_seconds=scenario.episode_seconds,
            single_agent=True,
            delta_time=yellow_time + 1,
            yellow_time=yellow_time,
            min_green=config.min_green,
            max_green=config.max_green,
            add_system_info=False,
            add_per_agent_info=False,
        )
        self.yellow_time, self.all_red_time = yellow_time, all_red_time

    # Episodes --------------------------------------------------------------------------------------------------

    def start(self, seed: int, evaluation: bool, demand: str | None = None) -> list[float]:
        """Begin the episode of `seed`, with the first phase green on empty roads; the first observation.

        Args:
            seed: of the traffic.
            evaluation: take the fixed demand levels, and end after exactly `episode_seconds`.
            demand: take this one instead (see `profiles`).
        """
        self._begin(seed, self._demand.draw(seed, evaluation, demand))
        self._cuts = evaluation
        self._take_light()
        phase = np.eye(self.timing.num_phases)[:1]
        self.signal = Signal(phase, (1.0 - phase) * SINCE_GREEN_LIMIT, phase * 0.0)
        self._observation = self.view.observe(self._present(), self._waiting(), self._losing(), self.signal)
        return self._observation.tolist()

    def decide(self, action: np.ndarray) -> Decided:
        """Carry out one decision `[A]`."""
        decision = plan(self.timing, self.signal, np.asarray(action, dtype=np.float64)[None])
        before = self._elapsed
        self._forget()
        for number, green in zip(decision.order[0], decision.greens[0], strict=True):
            self._switch(int(number))
            self._run(int(green))
        self.signal = decision.signal
        self._episode_queue += self._queue_integral()
        self._observation = self.view.observe(self._present(), self._waiting(), self._losing(), self.signal)
        duration = float(self._elapsed - before)
        reward = self.view.reward(self._observation[None].astype(np.float64), np.array([duration]), self.view.capacity)
        truncated = self._elapsed >= self._num_seconds
        metrics = self._finish() if truncated else {}
        return Decided(self._observation.tolist(), float(reward[0]), duration, truncated, metrics)

    def baseline(
        self,
        name: str,
        settings: dict[str, Any],
        seed: int,
        evaluation: bool,
        demand: str | None = None,
        limit: float = math.inf,
    ) -> dict[str, float]:
        """Figures of the same episode under the baseline of that name (see `baselines.table`).

        A programme's episode is given up once its delay is sure to end above `limit` seconds; its figures are then
        `delay`, a lower bound, and `simulated_seconds` alone.
        """
        traffic = self._demand.draw(seed, evaluation, demand)
        site = Site(
            self.intersection,
            Changes(self.yellow_time, self.all_red_time),
            self.min_green,
            self.max_green,
            partial(self._expected_flows, traffic),
            seed,
            settings,
        )
        controller = BASELINES[name](site)
        self._begin(seed, traffic, controller if isinstance(controller, Programme) else None)
        if controller is None or isinstance(controller, Programme):
            num_vehicles = count_vehicles(traffic.root)
            while self._elapsed < self._num_seconds:
                self._forget()
                self._run(min(CHECK_SECONDS, self._num_seconds - self._elapsed))
                self._episode_queue += self._queue_integral()
                # Who stands or waits to enter loses a second each second, so delay is at least the queue's integral.
                if self._episode_queue > limit * num_vehicles:
                    self.close()
                    return {"delay": self._episode_queue / num_vehicles, "simulated_seconds": float(self._elapsed)}
        else:
            self._follow(controller)
            self._episode_queue = self._queue_integral()
        return self._finish()

    def _follow(self, rule: Rule) -> None:
        """Let a rule decide to the end of the episode."""
        self._cuts = True
        self._take_light()
        counts = LaneCounts(self.sumo.lane.getLastStepVehicleNumber, self.sumo.lane.getLastStepHaltingNumber)
        self._run(self.min_green)
        while self._elapsed < self._num_seconds:
            choice = rule(counts, self._shown)
            changes = choice.phase != self._shown
            self._switch(choice.phase)
            self._run(max(choice.seconds, self.min_green) if changes else choice.seconds)

    def _expected_flows(self, traffic: Traffic) -> np.ndarray:
        """Vehicles/h by movement over the episode, `[M]`."""
        if traffic.flows is not None:
            return traffic.flows
        movements = self.intersection.movements
        return route_flows(traffic.root, movements, Path(self._net), self.begin_time, self.sim_max_time)

    def _take_light(self) -> None:
        """Show the first phase, and whatever `_switch` says from then on."""
        self.light = GreenSignal(
            self,
            self.intersection.light,
            self.delta_time,
            self.yellow_time,
            self.min_green,
            self.max_green,
            self.begin_time,
            "queue",
            self.sumo,
        )
        self._shown = 0

    def _begin(self, seed: int, traffic: Traffic, programme: Programme | None = None) -> None:
        self.close()
        self._level, self._cuts = traffic.level, False
        ElementTree.ElementTree(traffic.root).write(self._route, encoding="unicode")
        if programme is not None:
            light = programme.to_xml(self.intersection.light)
            ElementTree.ElementTree(light).write(self._programme_file, encoding="unicode")
        self.sumo_seed = derive_seed(seed, "sumo")
        self._start_simulation(has_programme=programme is not None)
        self.camera = None if self.film is None else Camera(self.sumo, self.intersection, *self.film)
        self._step = self._sumo_step if self.camera is None else self.camera.after(self._sumo_step)
        self._num_seconds = self.sim_max_time - self.begin_time
        self._elapsed = 0
        self._episode_queue = 0.0
        self._prepare_reads()
        self._forget()

    def _start_simulation(self, has_programme: bool = False) -> None:
        """As sumo-rl's, quiet, with SUMO's record of every trip, and with paths that may hold spaces."""
        command = [
            self._sumo_binary,
            "--net-file",
            self._net,
            "--route-files",
            self._route,
            "--begin",
            str(self.begin_time),
            "--seed",
            str(self.sumo_seed),
            "--time-to-teleport",
            str(self.config.teleport_seconds),
            "--ignore-junction-blocker",
            str(self.config.junction_blocker_seconds),
            "--max-depart-delay",
            "-1",
            "--tripinfo-output",
            str(self._tripinfo),
            "--tripinfo-output.write-unfinished",
            "--tripinfo-output.write-undeparted",
            "--no-step-log",
            "--no-warnings",
            "--duration-log.disable",
        ]
        if has_programme:
            command += ["--additional-files", str(self._programme_file)]
        if self.use_gui:
            command += ["--start", "--quit-on-end"]
        traci = sumo_rl_env.traci
        if sumo_rl_env.LIBSUMO:
            traci.start(command)
            self.sumo = traci
        else:
            traci.start(command, label=self.label)
            self.sumo = traci.getConnection(self.label)

    def _finish(self) -> dict[str, float]:
        """Close the simulation, which writes the trips, and read them."""
        teleports = float(self.sumo.simulation.getParameter("", "stats.teleports.total"))
        self.close()
        return {
            **summary(read_trips(self._tripinfo)),
            "mean_queue": self._episode_queue / self._elapsed,
            "teleports": teleports,
            **self._level,
        }

    # Seconds ---------------------------------------------------------------------------------------------------

    def _switch(self, number: int) -> None:
        greens = self.intersection.greens
        if number != self._shown:
            yellow = yellow_state(greens[self._shown], greens[number])
            self.light.show(yellow)
            self._run(self.yellow_time)
            if self.all_red_time > 0:
                self.light.show(cleared_state(yellow))
                self._run(self.all_red_time)
            self.light.show(greens[number])
            self._shown = number

    def _run(self, seconds: int) -> None:
        """Let time pass, noting who stands, what is lost and who waits to enter, second by second."""
        if self._cuts:
            seconds = min(seconds, self._num_seconds - self._elapsed)
        step, pending = self._step, self.sumo.edge.getPendingVehicles
        halting_reads, loss_reads, backlog_reads = self._halting_reads, self._loss_reads, self._backlog_reads
        for _ in range(seconds):
            step()
            self._halting.append([read(name) for read, name in halting_reads])
            self._losses.append(
                [count(name) * max(0.0, 1.0 - speed(name) * slowness) for count, speed, name, slowness in loss_reads]
            )
            self._backlog.append([len(pending(name)) for name in backlog_reads])
        self._elapsed += seconds

    # Reads -----------------------------------------------------------------------------------------------------

    def _prepare_reads(self) -> None:
        """What to call each second, by lane and edge, and the 0-1 matrices that add it up by section and approach."""
        lane, edge = self.sumo.lane, self.sumo.edge
        sections, approaches = self.intersection.sections, self.intersection.approaches
        places = [
            (i, name, lane if section.lanes else edge, limit)
            for i, section in enumerate(sections)
            for name, limit in zip(section.lanes or section.edges, section.speed_limits, strict=True)
        ]
        self._halting_reads = [(domain.getLastStepHaltingNumber, name) for _, name, domain, _ in places]
        self._loss_reads = [
            (domain.getLastStepVehicleNumber, domain.getLastStepMeanSpeed, name, 1.0 / limit)
            for _, name, domain, limit in places
        ]
        self._present_reads = [(domain.getLastStepVehicleNumber, name) for _, name, domain, _ in places]
        self._limits = COUNT_LIMIT * self.view.capacity
        self._of_section = np.eye(len(sections))[:, [i for i, _, _, _ in places]]
        entries = [(i, name) for i, approach in enumerate(approaches) for name in approach.edges]
        self._backlog_reads = [name for _, name in entries]
        self._of_approach = np.eye(len(approaches))[:, [i for i, _ in entries]]

    def _present(self) -> np.ndarray:
        """Vehicles now, by section, `[S]`."""
        return self._of_section @ np.array([read(name) for read, name in self._present_reads], dtype=np.float64)

    def _waiting(self) -> Counts:
        """Vehicles that stand or wait to enter, at the last second noted; none before the first."""
        if not self._halting:
            return Counts(np.zeros(len(self._of_section)), np.zeros(len(self._of_approach)))
        return self._counts(self._halting[-1:], self._backlog[-1:])

    def _losing(self) -> Counts:
        """Seconds lost in each second on the sections and by waiting to enter, means over the seconds noted."""
        return self._counts(self._losses, self._backlog) if self._losses else self._waiting()

    def _counts(self, on_sections: list[list[Any]], backlog: list[list[int]]) -> Counts:
        """Means over seconds, up to the limits of what is told apart."""
        num_seconds = len(on_sections)
        # Columns are added up in Python: making arrays of short lists of lists takes longer.
        sections = self._of_section @ [sum(column) / num_seconds for column in zip(*on_sections, strict=True)]
        approaches = self._of_approach @ [sum(column) / num_seconds for column in zip(*backlog, strict=True)]
        return Counts(np.minimum(sections, self._limits), np.minimum(approaches, BACKLOG_LIMIT))

    def _queue_integral(self) -> float:
        """Vehicle-seconds noted, without limits."""
        return float(sum(map(sum, self._halting)) + sum(map(sum, self._backlog)))

    def _forget(self) -> None:
        self._halting: list[list[int]] = []
        self._losses: list[list[float]] = []
        self._backlog: list[list[int]] = []
