"""What `test_team.py` runs as a program of its own: `python team_script.py MODE OUT DEVICES`."""

import functools
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from genreplay.common.precision import Speed
from genreplay.generators.base import Generator
from genreplay.generators.config import (
    EdmConfig,
    EdmFitConfig,
    EdmSamplerConfig,
    FactorisedConfig,
    FitConfig,
    NetworkConfig,
    SamplerConfig,
)
from genreplay.generators.discrete.factorised import FactorisedGenerator
from genreplay.generators.distributed.team import Team, make_fabric
from genreplay.generators.edm.generator import EdmGenerator
from genreplay.transitions.codec import Codec
from genreplay.transitions.columns import Column, TransitionLayout, continuous_columns
from genreplay.transitions.keys import ACTION, NEXT_OBSERVATION, OBSERVATION

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a program, it does not see the tests' helpers
from tests.helpers import stages

CODEC = Codec(TransitionLayout(tuple(continuous_columns(OBSERVATION, ["a", "b", "c"], -9.0, 9.0))))
DISCRETE_CODEC = Codec(
    TransitionLayout(
        (
            Column(OBSERVATION, 0, "categorical", "state", width=4),
            Column(ACTION, 0, "categorical", "action", width=2),
            Column(NEXT_OBSERVATION, 0, "categorical", "next state", width=4),
        )
    )
)


class Doomed(EdmGenerator):
    """Breaks down in the middle of a fit on rank 1."""

    def training_step(self, batch, batch_idx=0):
        if os.environ.get("LOCAL_RANK") == "1" and batch_idx == 5:
            raise ArithmeticError("the fifth step went wrong")
        return super().training_step(batch, batch_idx)


def work(team: Team, out: Path) -> None:
    """Two fits and a sample."""
    rows = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    condition = rows.square().sum(dim=1, keepdim=True)
    team.fit(rows[:50], condition[:50], seed=1)
    metrics = team.fit(rows, condition, seed=2)
    drawn = team.sample(75, condition.repeat(1, 1)[:75], seed=3).rows
    unconditional = team.sample(5, None, seed=3).rows
    torch.save(
        {"state": team.generator.state_dict(), "drawn": drawn, "unconditional": unconditional, "metrics": metrics}, out
    )


def judge(team: Team, out: Path) -> None:
    """A fit and a sample of a generator that judges its rows; the same once rank 0 has put the generator back."""
    rng = torch.Generator().manual_seed(0)
    state, action = torch.randint(4, (100,), generator=rng), torch.randint(2, (100,), generator=rng)
    codes = (state, action, (state + action) % 4)
    rows = torch.cat([torch.nn.functional.one_hot(c, n) for c, n in zip(codes, (4, 2, 4), strict=True)], dim=1).float()
    team.fit(rows, None, seed=1)
    sampled = team.sample(75, None, seed=2)
    fitted = {name: tensor.clone() for name, tensor in team.generator.state_dict().items()}
    team.fit(rows[:50], None, seed=3)
    team.generator.load_state_dict(fitted)
    assert torch.equal(team.sample(75, None, seed=2).rows, sampled.rows)
    torch.save(sampled._asdict(), out)


def give(team: Team, out: Path) -> None:
    """A fit with given columns, a prompted sample that keeps the stages of real rows, and outcomes."""
    rows = stages.stage_rows(100)
    condition = rows[:, :1].abs()
    team.fit(rows, condition, seed=1)
    sampled = team.sample(75, condition[:75], seed=2, given=team.generator.given_of(rows[:75])).rows
    state = team.generator.state_dict()
    torch.save({"state": state, "real": rows[:75], "drawn": sampled}, out)


def main(mode: str, out: Path, devices: int) -> None:
    """Run `mode` on rank 0 and serve on the others."""
    torch.set_num_threads(1)
    fabric = make_fabric("cpu", devices)
    fabric.launch()
    out.with_suffix(f".pid{fabric.global_rank}").write_text(str(os.getpid()))
    network = NetworkConfig(hidden_width=32)
    steps: dict[str, Any] = {"num_steps": 40, "batch_size": 32 // devices}
    generator: Generator
    if mode == "judge":
        config = FactorisedConfig(
            network=network, head=network, fit=FitConfig(**steps), sampler=SamplerConfig(chunk_size=8)
        )
        generator = FactorisedGenerator(config, DISCRETE_CODEC, conditional=False)
    elif mode == "give":
        config = EdmConfig(
            network=network,
            fit=EdmFitConfig(given_share=0.25, **steps),
            sampler=EdmSamplerConfig(chunk_size=8),
            categories="given",
        )
        generator = EdmGenerator(config, stages.CODEC, conditional=True)
    else:
        part = Doomed if mode == "rank_1_raises" else EdmGenerator
        # What is compiled is traced and differentiated; what the code generator makes of it, test_compiled.py runs.
        torch.compile = functools.partial(torch.compile, backend="aot_eager")
        config = EdmConfig(network=network, fit=EdmFitConfig(**steps), sampler=EdmSamplerConfig(chunk_size=8))
        # In fp32: in bfloat16 two halves of a batch round otherwise than the whole.
        generator = part(config, CODEC, True, Speed(compile=mode == "work_compiled"))
    try:
        with Team(fabric, generator) as team:
            if fabric.global_rank > 0:
                if mode == "rank_1_dies":
                    os.kill(os.getpid(), signal.SIGKILL)
                team.follow()
            elif mode == "rank_0_raises":
                raise LookupError("the simulator is lost")
            elif mode == "rank_0_dies":
                os.kill(os.getpid(), signal.SIGKILL)
            elif mode == "rank_1_dies":
                time.sleep(60)
            else:
                {"judge": judge, "give": give}.get(mode, work)(team, out)
    finally:
        print(f"rank {fabric.global_rank} cleans up", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
