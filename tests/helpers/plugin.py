"""The parts of examples/extending, registered for as long as a test needs them."""

from collections.abc import Iterator
from contextlib import contextmanager

from examples import extending
from genreplay import registry


@contextmanager
def registered_examples() -> Iterator[None]:
    """Registers them, unless they are, and forgets them at the end."""
    before = dict(registry._entries)
    if not before.keys() >= {(kind, name) for kind, name, *_ in extending.PARTS}:
        extending.register()
    try:
        yield
    finally:
        registry._entries.clear()
        registry._entries.update(before)
