"""The kinds of sensors, by name (`env.sensors`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from genreplay.common.seeding import derive_seed
from genreplay.envs.sumo.network.intersection import Intersection
from genreplay.envs.sumo.sensors.full import Full
from genreplay.envs.sumo.sensors.loops import Loops
from genreplay.envs.sumo.sensors.part import Detector, Sensors
from genreplay.envs.sumo.sensors.zones import Zones
from genreplay.envs.sumo.signals.timing import Timing

KINDS: dict[str, Callable[[Intersection, Timing], Sensors]] = {"full": Full, "zones": Zones, "loops": Loops}
"""See the classes; `config.SENSORS` has the names too."""


def failed_lanes(intersection: Intersection, chance: float, seed: int) -> np.ndarray:
    """Whether the detectors of each controlled lane have failed in the episode of `seed`, `[L]`."""
    num_lanes = sum(len(section.lanes) for section in intersection.sections)
    return np.random.default_rng(derive_seed(seed, "sensors")).random(num_lanes) < chance


def detectors_to_xml(detectors: Sequence[Detector]) -> Element:
    """SUMO's additional file with them."""
    root = Element("additional")
    for element, attributes in detectors:
        ElementTree.SubElement(root, element, attributes)
    return root
