"""`genreplay fidelity` on a short run of its own."""

from __future__ import annotations

import math

import pytest

from genreplay import cli
from genreplay.common.files import read_csv
from tests.helpers.paths import REPOSITORY
from tests.helpers.saved import save_untrained

SEEDS = ("101", "102", "103")
TINY = [
    "env.partners=[self,greedy,random,stay]",
    "env.horizon=60",
    "agent.hidden_width=16",
    "loop.num_env_steps=400",
    "loop.warmup_env_steps=40",
    "loop.utd_ratio=0.2",
    "loop.first_refit_env_step=360",
    "loop.num_synthetic_rows=100",
    "evaluation.seeds=[1]",
    "generator.network.hidden_width=32",
    "generator.network.num_blocks=1",
    "generator.fit.num_steps=800",
    "fabric.accelerator=cpu",
]


@pytest.mark.slow
def test_virtual_partners_are_held_against_the_real_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config = str(REPOSITORY / "conf" / "overcooked_partners.yaml")
    assert cli.main(["fit", "--config", config, *TINY, f"tracking.uri={uri}"]) == 0
    capsys.readouterr()
    assert cli.main(["fidelity", "out", "last", "--seeds", "101-103", "--uri", uri]) == 0
    printed = capsys.readouterr().out
    assert cli.main(["fidelity", "out"]) == 0
    assert capsys.readouterr().out == printed

    demands = [f"{partner}/{seat}" for partner in ("greedy", "random", "stay") for seat in (0, 1)]
    returns = read_csv(tmp_path / "out" / "returns.csv")
    assert [(row["demand"], row["seed"]) for row in returns] == [(d, seed) for d in demands for seed in SEEDS]
    said = {(row["demand"], row["predictor"]): row for row in read_csv(tmp_path / "out" / "fidelity.csv")}
    assert len(said) == 4 * len(demands)
    for (demand, who), row in said.items():
        assert f"| {demand} | {who} |" in printed
        assert row["num_actions"] == "180"
        likelihood, top_1, distance = (float(row[key]) for key in ("log_likelihood", "top_1", "total_variation"))
        assert likelihood <= 0
        if who == "the partner itself":
            # The greedy cook rules most actions out: one it took in another state than the one asked would show here.
            assert math.isfinite(likelihood)
            assert distance == 0
            assert likelihood >= float(said[demand, "frequencies"]["log_likelihood"]) or demand.startswith("random")
        if demand.startswith("stay") and who in ("the partner itself", "frequencies"):
            assert (likelihood, top_1, distance) == (0, 1, 0)
        if demand.startswith("stay") and who == "virtual":
            assert likelihood > float(said[demand, "virtual, no code"]["log_likelihood"])
    own = said["random/0", "the partner itself"]
    assert float(own["log_likelihood"]) == pytest.approx(-math.log(6))


@pytest.mark.slow
def test_a_run_that_has_no_partners_is_refused(tmp_path, monkeypatch, capsys):
    alone = save_untrained(
        tmp_path, "{env: {name: overcooked}, agent: {name: discrete_redq_sac}, replay: {synthetic_fraction: 0}}"
    )
    for arguments, message in (
        (
            ["out", str(alone)],
            f"{alone}: was trained with no partner; train with some, as conf/overcooked_partners.yaml does",
        ),
        (["out"], "out: holds no returns.csv to read again; name a RUN to measure"),
    ):
        assert cli.main(["fidelity", *arguments]) == 2
        assert capsys.readouterr() == ("", f"genreplay: error: {message}\n")
