"""Configuration of the SUMO environment. Imports nothing heavy, so that config errors are reported at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from genreplay.common.errors import require

ACTION_MODES = ("actuated", "stage_duration", "phase_duration", "duration", "cycle")
SENSORS = ("full", "zones", "loops")
BACKENDS = ("libsumo", "traci")


def _require_range(value: list[float], name: str, low: float) -> None:
    fits = len(value) == 2 and low <= value[0] <= value[1] < float("inf")
    require(fits, name, f"must be [smallest, largest] with {low:g} <= smallest <= largest, not {list(value)}")


@dataclass
class DemandConfig:
    """The traffic of an episode: a function of the episode's seed alone, the same for every controller.

    A map without a route file or counts gets random traffic: total flow, shares of the approaches and turning shares
    are sampled for each episode (`traffic.arrivals` has their ranges). The traffic of a route file is scaled by a
    factor sampled for each episode. With counts, each episode samples Poisson arrivals whose expected numbers are the
    counts times such a factor.
    """

    flow_range: list[float] = field(default_factory=lambda: [1000.0, 2000.0])
    """Random traffic: total flow of a training episode, vehicles/h."""
    evaluation_flows: list[float] = field(default_factory=lambda: [1000.0, 1500.0, 2000.0])
    """Random traffic: total flows of evaluation episodes, vehicles/h; the episode of seed s takes entry s modulo the
    length of this list."""
    scale_range: list[float] = field(default_factory=lambda: [0.8, 1.2])
    """Route file or counts: factor on the number of vehicles in a training episode."""
    evaluation_scales: list[float] = field(default_factory=lambda: [1.0])
    """Route file or counts: factors of evaluation episodes, chosen as in `evaluation_flows`."""

    def __post_init__(self) -> None:
        _require_range(self.flow_range, "flow_range", 1.0)
        _require_range(self.scale_range, "scale_range", 0.001)
        for name in ("evaluation_flows", "evaluation_scales"):
            levels = getattr(self, name)
            require(
                len(levels) > 0 and min(levels) > 0, name, f"must be a list of positive numbers, not {list(levels)}"
            )

    def levels(self, is_given: bool) -> tuple[list[float], list[float]]:
        """Range of training and levels of evaluation: factors on a route file or counts (`is_given`), else flows."""
        return (self.scale_range, self.evaluation_scales) if is_given else (self.flow_range, self.evaluation_flows)


@dataclass
class SumoConfig:
    """One signalised intersection in SUMO, controlled through continuous green durations."""

    FACTS = (
        ("map", "scenario"),
        ("network", "net_file"),
        ("traffic", "route_file"),
        ("actions", "action_mode"),
        ("sensors", "sensors"),
    )
    """Options that a report shows first, by label; the first one that is set names the environment."""
    name: str = "sumo"
    scenario: str | None = None
    """A map that comes with sumo-rl: `2way` (random traffic), `single`, `cologne1`, `ingolstadt1`. Null with
    `net_file`; `2way` if both are null."""
    net_file: str | None = None
    """Your own SUMO network (.net.xml) with one traffic light."""
    route_file: str | None = None
    """Traffic for `net_file` (.rou.xml or .rou.xml.gz: vehicles, persons, containers); several files are separated by
    commas."""
    count_file: str | None = None
    """Traffic for `net_file`: a table of counts by interval and movement (.csv; see docs/traffic.md). Random
    traffic over the light's movements if this and `route_file` are null."""
    additional_files: list[str] = field(default_factory=list)
    """SUMO's additional files for `net_file`: stops, detectors, vehicle types, zones (TAZ)."""
    begin_time: int | None = None
    """Simulated time at which an episode begins, s; null for the scenario's own (for your own map 0, or when
    the counts begin)."""
    episode_seconds: int | None = None
    """Length of an episode, s; it ends with the first decision that reaches this. Null for the scenario's own (for your
    own map 1800 s, or to the end of the counts)."""
    action_mode: str = "phase_duration"
    """What an action says. `actuated`: the next stage, its longest green and how far upstream a vehicle prolongs it;
    the green ends by itself, as in a street cabinet. `stage_duration`: the next stage and its green. For agents with
    numbers alone, `phase_duration`: a preference for each stage and the green; `duration`: the green, stages in fixed
    order; `cycle`: the greens of a whole cycle."""
    light: str | None = None
    """Name of the traffic light to control, where `net_file` has several; the others keep their programmes."""
    programme: str | None = None
    """Name (`programID`) of the light's programme that stages and transitions are read from; null for the last one in
    the file, which SUMO runs."""
    min_green: int | None = None
    """Shortest green of every stage, s; null for the programme's `minDur`, or 5 s."""
    max_green: int | None = None
    """Longest green of every stage, s, also if it is chosen several times in a row; null for the programme's `maxDur`,
    or 45 s."""
    min_greens: list[int] | None = None
    """Shortest green of each stage, s, in place of `min_green`. `genreplay junction` lists the stages."""
    max_greens: list[int] | None = None
    """Longest green of each stage, s, in place of `max_green`."""
    max_red: int | None = None
    """A stage for which somebody waits gets green again within this time, s; null for one and a half of the
    programme's cycles, but at least 60 s and at most 120 s."""
    yellow_time: int | None = None
    """Least yellow of vehicles at every change, s; null for the programme's own, which it may not undercut."""
    all_red_time: int | None = None
    """Least red between conflicting vehicles, from the end of yellow, s; null for the programme's own."""
    upstream_metres: float = 300.0
    """Edges that lead to the intersection are observed up to this far before the stop line, m."""
    warmup_seconds: int = 0
    """Evaluation: vehicles that want to enter in the first so many seconds are not measured, s."""
    runout_seconds: int = 0
    """Evaluation: the episode goes on, without new vehicles, until the map is empty, at most so long, s."""
    sensors: str = "full"
    """What a policy sees of the traffic. `full`: every vehicle on the observed edges; `zones`: video zones, the
    vehicles in the last 50 m of each lane; `loops`: at each lane an induction loop at the stop line and one 40 m before
    it. With `zones` and `loops`, crossings have push buttons."""
    sensor_failures: float = 0.0
    """Chance that the zone or the loops of a lane have failed in an episode; they then call all the time."""
    junction_blocker_seconds: int = 120
    """Others pass a vehicle that has stood inside the junction this long, s (SUMO's `--ignore-junction-blocker`). At -1
    they never do: vehicles that block each other there stay for ever, in any state of the light."""
    backend: str = "libsumo"
    """`libsumo`, or `traci` (SUMO in a separate process, about ten times slower)."""
    demand: DemandConfig = field(default_factory=DemandConfig)

    def __post_init__(self) -> None:
        self._check_files()
        for name in ("warmup_seconds", "runout_seconds"):
            require(getattr(self, name) >= 0, name, f"must be at least 0 s, not {getattr(self, name)}")
        require(
            self.begin_time is None or self.begin_time >= 0, "begin_time", f"must be at least 0, not {self.begin_time}"
        )
        seconds = self.episode_seconds
        require(seconds is None or seconds >= 1, "episode_seconds", f"must be at least 1, not {seconds}")
        for name, choices in (("action_mode", ACTION_MODES), ("sensors", SENSORS), ("backend", BACKENDS)):
            value = getattr(self, name)
            require(value in choices, name, f"must be one of {', '.join(choices)}, not {value!r}")
        self._check_greens()
        for name, least in (("yellow_time", 1), ("all_red_time", 0)):
            value = getattr(self, name)
            require(
                value is None or value >= least,
                name,
                f"must be at least {least} s, or null for the map's own, not {value}",
            )
        self._check_sensors()
        require(self.upstream_metres >= 0, "upstream_metres", f"must be at least 0 m, not {self.upstream_metres}")
        require(
            self.junction_blocker_seconds == -1 or self.junction_blocker_seconds >= 1,
            "junction_blocker_seconds",
            f"must be at least 1 s, or -1 for never, not {self.junction_blocker_seconds}",
        )

    def _check_sensors(self) -> None:
        share = self.sensor_failures
        require(0 <= share <= 1, "sensor_failures", f"must lie between 0 and 1, not {share}")
        require(
            share == 0 or self.sensors != "full",
            "sensor_failures",
            "has no effect with sensors: full, which has no detectors; set sensors to zones or loops, or this to 0",
        )

    def _check_greens(self) -> None:
        for name in ("min_green", "max_green"):
            value = getattr(self, name)
            require(value is None or value >= 1, name, f"must be at least 1 s, or null, not {value}")
        if self.min_green is not None and self.max_green is not None:
            require(
                self.max_green >= self.min_green,
                "max_green",
                f"must be at least min_green ({self.min_green}), not {self.max_green}",
            )
        for name in ("min_greens", "max_greens"):
            values = getattr(self, name)
            require(
                values is None or (len(values) > 0 and min(values) >= 1),
                name,
                f"must be a list of seconds of at least 1, one a stage, not {values}",
            )
        require(
            self.max_red is None or 1 <= self.max_red <= 300,
            "max_red",
            f"must lie between 1 and 300 s, or be null for the default, not {self.max_red}",
        )

    def _check_files(self) -> None:
        require(
            not (self.scenario and self.net_file),
            "net_file",
            f"scenario {self.scenario!r} has a map already; set scenario: null to use your own, or drop net_file",
        )
        for name in ("route_file", "count_file", "additional_files"):
            require(
                not (getattr(self, name) and not self.net_file),
                name,
                f"belongs to net_file; set net_file too (and scenario: null), or drop {name}",
            )
        require(
            not (self.route_file and self.count_file),
            "count_file",
            "route_file gives the traffic already; set one of them to null",
        )


def scenario_overrides(name: str) -> list[str]:
    """Overrides that replace a config's map, traffic and times by those of the scenario `name`."""
    others = ("net_file", "route_file", "count_file", "begin_time", "episode_seconds")
    return [f"env.scenario={name}", *(f"env.{key}=null" for key in others), "env.additional_files=[]"]
