"""Whatever a file or an option holds, the answer is one line with status 2, unless it is still good."""

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.helpers.bad_input import CASES, Tally

CASES_OF_KIND = {
    "config": 500,
    "override": 550,
    "study": 80,
    "net": 300,
    "route": 60,
    "counts": 350,
    "layout": 550,
    "clone": 300,
    "checkpoint": 400,
}
"""With `make fuzz`."""
FEW = 4
"""Cases of each kind in the ordinary tests."""


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.timeout(3600)
def test_bad_input_is_refused_in_one_line(kind: str, tmp_path: Path, tallies: dict[str, Tally]):
    tally = tallies.setdefault(kind, Tally())
    num_cases = CASES_OF_KIND[kind] if "FUZZ" in os.environ else FEW

    @settings(
        max_examples=num_cases,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # every problem is of interest, not the smallest one
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=True))
    def one(rnd: Random):
        tally.add(kind, rnd, tmp_path / str(len(tally.inputs)))

    one()
    assert not tally.problems, "\n".join(tally.problems)
