"""A pickle that shows whether it was executed."""

import os
from pathlib import Path


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.trace}",)
