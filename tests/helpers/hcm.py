"""Reference formulas that tests compare with."""


def uniform_delay(cycle: float, green: float, saturation: float) -> float:
    """Mean delay of even arrivals, s: d1 of HCM eq. 19-20.

    Args:
        cycle: s.
        green: effective, s.
        saturation: volume-to-capacity ratio.
    """
    share = green / cycle
    return 0.5 * cycle * (1.0 - share) ** 2 / (1.0 - min(1.0, saturation) * share)
