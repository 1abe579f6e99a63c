"""Bad input at random: few cases in the ordinary tests, 2,000 and more with `make fuzz`."""

from collections.abc import Iterator

import pytest

from tests.helpers.bad_input import Tally

TALLIES = pytest.StashKey[dict[str, Tally]]()


@pytest.fixture
def tallies(pytestconfig: pytest.Config) -> Iterator[dict[str, Tally]]:
    """By kind of input; what is in it is reported at the end."""
    return pytestconfig.stash.setdefault(TALLIES, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tallies = config.stash.get(TALLIES, {})
    if not tallies:
        return
    terminalreporter.section("bad input")
    for kind, tally in [*tallies.items(), ("together", _sum(tallies))]:
        terminalreporter.line(
            f"{kind:12} {len(tally.inputs):5} different inputs: {tally.refused:5} refused in one line with status 2, "
            f"{len(tally.inputs) - tally.refused - len(tally.problems):5} still good, {len(tally.problems):3} problems"
        )


def _sum(tallies: dict[str, Tally]) -> Tally:
    numbers = range(sum(len(tally.inputs) for tally in tallies.values()))
    problems = [problem for tally in tallies.values() for problem in tally.problems]
    return Tally(set(numbers), sum(tally.refused for tally in tallies.values()), problems)
