"""What an exported policy sees, read from a running SUMO over TraCI; on a street, detectors take its place."""

from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import traci


class Person:
    """People who wait for a crossing, read as vehicles are."""

    def __init__(self, crossing):
        self.crossing = crossing

    def getLastStepVehicleNumber(self, area):
        """People who stand on the walking area and cross next."""
        names = traci.edge.getLastStepPersonIDs(area)
        return sum(traci.person.getSpeed(n) < 0.1 and traci.person.getNextEdge(n) == self.crossing for n in names)

    present = getLastStepHaltingNumber = getLastStepVehicleNumber

    def getLastStepMeanSpeed(self, area):
        """They stand, m/s."""
        return 0.0


class Sensors:
    """What the controller sees, each second since `forget`; a subclass for each kind of sensors."""

    def __init__(self, card, failed):
        self.card, self.failed = card, failed
        self.lanes = [section["name"] for section in card["sections"] if section["lanes"]]
        self.forget()

    def forget(self):
        """Begin a decision."""

    def run(self, seconds):
        """Simulate, reading every second."""
        for _ in range(seconds):
            traci.simulationStep()
            self.read()

    def read(self):
        """Read the second just simulated."""

    def values(self):
        """`{(quantity, of): value}` at the moment of a decision."""
        raise NotImplementedError

    def is_seen(self, section):
        """Whether there are vehicles or people in a section that call a stage."""
        values = self.values()
        return any(values.get((quantity, section), 0.0) > 0 for quantity in self.card["signal"]["called_by"])

    def approaching(self, reach):
        """The link that each vehicle in the last `reach` metres before the light takes next, and its distance, m."""
        light = self.card["signal"]["light"]
        ahead = [lights[0] for name in traci.vehicle.getIDList() if (lights := traci.vehicle.getNextTLS(name))]
        return [(link, metres) for its_light, link, metres, _ in ahead if its_light == light and metres <= reach]

    def walkers(self):
        """Links of the crossings that somebody waits for."""
        crossings = self.card["signal"]["crossings"]
        waiting = [name for (_, name), is_pressed in self.buttons().items() if is_pressed]
        return {link for name in waiting for link in crossings[name]}

    def buttons(self):
        """Whether somebody waits for each crossing."""
        return {
            ("button", section["name"]): float(any(map(Person(section["crossing"]).present, section["edges"])))
            for section in self.card["sections"]
            if section["crossing"]
        }


class Counter(Sensors):
    """Every vehicle by section and approach, now and as means over the seconds of the decision."""

    def __init__(self, card, failed):
        self.places = [
            (section["name"], domain, name, limit)
            for section in card["sections"]
            for domain, names in (
                (traci.lane, section["lanes"]),
                (Person(section["crossing"]) if section["crossing"] else traci.edge, section["edges"]),
            )
            if names
            for name, limit in zip(names, section["speed_limits"], strict=True)
        ]
        self.entries = [(approach["name"], edge) for approach in card["approaches"] for edge in approach["edges"]]
        super().__init__(card, failed)

    def forget(self):
        """Begin new means."""
        self.halting, self.losses, self.waiting = [], [], []

    def read(self):
        """Read the second just simulated."""
        self.halting.append([domain.getLastStepHaltingNumber(name) for _, domain, name, _ in self.places])
        self.losses.append([self.loss(*place[1:]) for place in self.places])
        self.waiting.append([len(traci.edge.getPendingVehicles(edge)) for _, edge in self.entries])

    @staticmethod
    def loss(domain, name, limit):
        """Seconds that the vehicles on a lane or an edge lose in the last second."""
        return domain.getLastStepVehicleNumber(name) * max(0.0, 1.0 - domain.getLastStepMeanSpeed(name) / limit)

    def values(self):
        """Vehicles by section, and those that wait to enter."""
        found: dict[tuple[str, str], float] = defaultdict(float)
        for i, (section, domain, name, _) in enumerate(self.places):
            losses = [second[i] for second in self.losses] or [0.0]
            found["density", section] += domain.getLastStepVehicleNumber(name)
            found["queue", section] += self.halting[-1][i] if self.halting else 0
            found["time_loss", section] += sum(losses) / len(losses)
        for i, (approach, _) in enumerate(self.entries):
            column = [second[i] for second in self.waiting] or [0]
            found["backlog", approach] += column[-1]
            found["mean_backlog", approach] += sum(column) / len(column)
        self.count_zones(found)
        return found

    def count_zones(self, found):
        """Vehicles in the zones before the stop line, by the group of the link that they take next."""
        group_of = {link: group["name"] for group in self.card["groups"] for link in group["links"]}
        names = {about["quantity"] for about in self.card["inputs"] if about["quantity"].startswith("within_")}
        ends = sorted(int(name.removeprefix("within_")) for name in names)
        for link, metres in self.approaching(ends[-1]):
            if link in group_of:
                found[f"within_{next(end for end in ends if metres <= end)}", group_of[link]] += 1


class Zones(Sensors):
    """Vehicles in the video zone of each lane; a zone that has failed shows one that stands."""

    def values(self):
        """Vehicles now, and buttons."""
        found = self.buttons()
        for lane in self.lanes:
            is_failed, zone = lane in self.failed, f"zone {lane}"
            found["zone_count", lane] = 1.0 if is_failed else traci.lanearea.getLastStepVehicleNumber(zone)
            found["zone_standing", lane] = 1.0 if is_failed else traci.lanearea.getLastStepHaltingNumber(zone)
        return found


class Loops(Sensors):
    """Two induction loops on each lane; those that have failed call all the time."""

    def __init__(self, card, failed):
        super().__init__(card, failed)
        longest = next(about["limit"] for about in card["inputs"] if about["quantity"] == "stop_line_gap")
        self.loops = [(kind, lane) for kind in ("stop_line", "upstream") for lane in self.lanes]
        self.there = {loop: set() for loop in self.loops}
        self.gap = dict.fromkeys(self.loops, longest)

    def forget(self):
        """Begin to count."""
        self.occupied, self.counted = [], defaultdict(int)

    def read(self):
        """Read the second just simulated."""
        since = {loop: traci.inductionloop.getTimeSinceDetection(" ".join(loop)) for loop in self.loops}
        self.occupied.append({loop: since[loop] == 0 for loop in self.loops})
        for loop in self.loops:
            before = self.there[loop]
            self.there[loop] = set(traci.inductionloop.getLastStepVehicleIDs(" ".join(loop)))
            self.counted[loop] += len(self.there[loop] - before)
            self.gap[loop] = 0.0 if since[loop] < 1 else self.gap[loop] + 1.0

    def values(self):
        """Occupancy, vehicles and gap at each loop, and buttons."""
        found = self.buttons()
        for kind, lane in self.loops:
            seconds = [float(second[kind, lane]) for second in self.occupied] or [0.0]
            seen = (seconds[-1], sum(seconds) / len(seconds), self.counted[kind, lane], self.gap[kind, lane])
            values = (1.0, 1.0, 0.0, 0.0) if lane in self.failed else seen
            for what, value in zip(("occupied", "occupancy", "counted", "gap"), values, strict=True):
                found[f"{kind}_{what}", lane] = value
        return found


KINDS = {"full": Counter, "zones": Zones, "loops": Loops}


def with_detectors(options, detectors, folder):
    """SUMO's options with an additional file of these detectors, written into `folder`."""
    if not detectors:
        return options
    root = ElementTree.Element("additional")
    for each in detectors:
        ElementTree.SubElement(root, each["element"], each["attributes"])
    file = Path(folder, "detectors.add.xml")
    ElementTree.ElementTree(root).write(file, encoding="unicode")
    kept, files = [], [str(file)]
    parts = iter(part for option in options for part in (option.split("=", 1) if option[:2] == "--" else [option]))
    for part in parts:
        if part in ("-a", "--additional-files"):
            files.append(next(parts))
            continue
        kept.append(part)
        if part in ("-c", "--configuration-file"):
            kept.append(next(parts))
            files += named_in(Path(kept[-1]))
    return [*kept, "--additional-files", ",".join(files)]


def named_in(configuration):
    """Additional files in a configuration of SUMO, which those of the command line would replace."""
    found = [each for each in ElementTree.parse(configuration).iter() if each.tag in ("a", "additional-files")]
    return [str(configuration.parent / name.strip()) for each in found for name in each.get("value").split(",")]
