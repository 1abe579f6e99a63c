"""Names and units as people write them."""


def plain(name: str) -> str:
    """A name of the code with spaces: `interquartile mean`."""
    return name.replace("_", " ")


def with_unit(name: str, unit: str, between: str = " ") -> str:
    """`name (unit)`, or the name alone where there is no unit."""
    return f"{name}{between}({unit})" if unit else name
