"""Parts of your own: one small environment, relevance function, generator and agent (see docs/extending.md).

`register` makes them known. An installed package names such a function as an entry point of the group `genreplay`; a
script calls it before it loads a config.
"""

from genreplay.registry import register as register_part

PARTS = (
    ("env", "line", "line_env:LineConfig", "line_env:LineWorld"),
    ("relevance", "unusual", "unusual_relevance:UnusualConfig", "unusual_relevance:Unusual"),
    ("generator", "gaussian", "gaussian_generator:GaussianConfig", "gaussian_generator:GaussianGenerator"),
    ("agent", "gentle_sac", "gentle_agent:GentleSacConfig", "gentle_agent:GentleSac"),
)
"""Kind, name in a config file, and where the config dataclass and the class are."""


def register() -> None:
    """Register every part of this folder."""
    for kind, name, config, part in PARTS:
        register_part(kind, name, f"{__name__}.{config}", f"{__name__}.{part}")
