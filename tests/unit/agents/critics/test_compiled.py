"""Compiled and bfloat16 critic updates and fits of the generator against the eager fp32 ones.

Most tests stop before the code generator (`traced`): they check the traced function and its tensors. The last
ones run the generated code.
"""

import copy
import functools
import os
import subprocess
import sys

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from genreplay.common import precision
from genreplay.common.precision import AGENT_SPEEDS, EXACT, GENERATOR_SPEEDS, Speed
from tests.helpers import discrete_redq_sac
from tests.helpers.edm import fitted, weights
from tests.helpers.paths import REPOSITORY
from tests.helpers.redq_sac import COMPILED, FAST, MEDIUM, assert_same_state, make_agent, make_block, step

pytestmark = pytest.mark.slow
NUM_BLOCKS = 14
"""Of 3 updates: 42."""

CONTINUOUS = {
    "plain": (make_agent, make_block, {}),
    "LayerNorm, mean": (make_agent, make_block, {"critic_layer_norm": True, "target_mode": "mean"}),
}
DISCRETE = {
    "discrete": (discrete_redq_sac.make_agent, discrete_redq_sac.make_block, {"critic_updates_per_actor_update": 3}),
    "discrete, LayerNorm": (
        discrete_redq_sac.make_agent,
        discrete_redq_sac.make_block,
        {"critic_updates_per_actor_update": 3, "critic_layer_norm": True},
    ),
}
AGENTS = pytest.mark.parametrize("agent", list((CONTINUOUS | DISCRETE).values()), ids=list(CONTINUOUS | DISCRETE))


@pytest.fixture
def traced(monkeypatch):
    """What is compiled is traced and differentiated, and runs operation by operation."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))


@pytest.fixture
def failing(monkeypatch):
    """Whatever is compiled fails, as with a broken compiler."""

    def backend(graph, inputs):
        raise RuntimeError("no space left\nfor code")

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))


def trained(agent, num_blocks=NUM_BLOCKS, speed=EXACT):
    """An agent after `num_blocks` blocks, and the metrics of the last."""
    make, blocks, settings = agent
    learner = make(**settings, speed=speed)
    for seed in range(num_blocks):
        metrics = step(learner, blocks(3, seed=seed), seed=seed)
    return learner, metrics


def assert_close_agents(first, second, rtol, atol):
    """All weights, targets and moments."""
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=rtol, atol=atol)
    states = (agent.optimizer_state_dict()["critics"]["state"] for agent in (first, second))
    torch.testing.assert_close(*states, rtol=rtol, atol=atol)


def assert_same_agents(first, second):
    """The same to the last bit."""
    for state in (lambda agent: agent.state_dict(), lambda agent: agent.optimizer_state_dict()["critics"]["state"]):
        assert_same_state(state(first), state(second))


def distance(agent, other):
    """Between all critics' weights, as a share of how far the second has come from its start."""
    here, there, start = (parameters_to_vector(each.critics.parameters()) for each in (agent, other, make_agent()))
    return ((here - there).norm() / (there - start).norm()).item()


def assert_close_generators(first, second, atol):
    """All weights, their averages and the scales of rows."""
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=atol)


@AGENTS
def test_forty_compiled_updates_are_the_eager_ones(traced, agent):
    eager, its_metrics = trained(agent)
    compiled, metrics = trained(agent, speed=COMPILED)
    assert_close_agents(compiled, eager, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(metrics, its_metrics, rtol=1e-4, atol=1e-5, equal_nan=True)


@AGENTS
@pytest.mark.parametrize("compiles_first", [False, True])
def test_checkpoints_of_compiled_and_eager_updates_are_interchangeable(traced, agent, compiles_first):
    first, _ = trained(agent, 1, speed=Speed(compile=compiles_first))
    weights, optimizers = copy.deepcopy((first.state_dict(), first.optimizer_state_dict()))
    make, blocks, settings = agent
    other = make(seed=99, **settings, speed=Speed(compile=not compiles_first))
    other.load_state_dict(weights)
    other.load_optimizer_state_dict(optimizers)
    assert_same_state(other.state_dict(), first.state_dict())
    assert str(other.optimizer_state_dict()) == str(first.optimizer_state_dict())
    for learner in (first, other):
        step(learner, blocks(3, seed=5))
    assert_close_agents(other, first, rtol=1e-4, atol=1e-6)
    counts = {int(state["step"]) for state in other.optimizer_state_dict()["critics"]["state"].values()}
    assert counts == {6}


@pytest.mark.parametrize("speed", [MEDIUM, FAST])
def test_forty_updates_in_bfloat16_go_the_way_of_fp32(traced, monkeypatch, speed):
    exact, _ = trained(CONTINUOUS["plain"])
    monkeypatch.setattr(precision, "_CPU_HAS_BFLOAT16", True)
    rough, _ = trained(CONTINUOUS["plain"], speed=speed)
    assert 1e-4 < distance(rough, exact) < 0.15
    monkeypatch.setattr(precision, "_CPU_HAS_BFLOAT16", False)
    without, _ = trained(CONTINUOUS["plain"], speed=speed)
    assert distance(without, exact) < 1e-4


def test_agents_of_many_sizes_compile_in_one_process(traced):
    """More of them than torch compiles of a function before it gives up."""
    for width in range(4, 16):
        metrics = [step(make_agent(hidden_width=width, speed=each), make_block()) for each in (COMPILED, EXACT)]
        torch.testing.assert_close(*metrics, rtol=1e-3, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_compiled_fit_is_the_eager_one(traced, conditional):
    eager, its_metrics = fitted(conditional)
    compiled, metrics = fitted(conditional, speed=COMPILED)
    assert_close_generators(compiled, eager, atol=1e-5)
    assert metrics["loss_last"] == pytest.approx(its_metrics["loss_last"], rel=1e-5)


def test_a_compiled_fit_takes_its_products_in_the_configured_precision(traced, monkeypatch):
    monkeypatch.setattr(precision, "_CPU_HAS_BFLOAT16", True)
    rough, _ = fitted(speed=FAST)
    exact, _ = fitted(speed=COMPILED)
    eager, _ = fitted(speed=Speed("medium"))
    rounding = (weights(exact) - weights(eager)).norm()
    assert (weights(rough) - weights(eager)).norm() < 0.2 * rounding


def test_generators_of_many_sizes_compile_in_one_process(traced):
    for width in range(4, 16):
        fits = [fitted(num_steps=3, speed=each, **{"network.hidden_width": width})[1] for each in (COMPILED, EXACT)]
        assert fits[0]["loss_last"] == pytest.approx(fits[1]["loss_last"], rel=1e-5)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("step(make_agent(speed=COMPILED), make_block())", "the critic update"),
        ("fitted(speed=COMPILED)", "the generator's loss"),
    ],
)
def test_a_machine_without_a_compiler_gets_one_line(tmp_path, code, what):
    path = os.pathsep.join([str(REPOSITORY), *sys.path])
    elsewhere = {"CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "PYTHONPATH": path}
    code = f"from tests.helpers.redq_sac import *; from tests.helpers.edm import fitted; {code}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | elsewhere)
    message = ran.stderr.strip().splitlines()[-1]
    assert message.startswith(
        f"genreplay.common.compilation.CannotCompile: speed: fast compiles {what}, which fails on this machine ("
    )
    assert message.endswith(
        "install a C++ compiler such as g++ (the environment variable CXX names another), or write speed: default"
    )


def test_by_default_what_cannot_be_compiled_runs_eagerly_and_says_so_once(failing, monkeypatch, caplog):
    monkeypatch.setenv("CXX", sys.executable)  # any program that is there
    agents = [trained(CONTINUOUS["plain"], 2, speed=speed)[0] for speed in (EXACT, AGENT_SPEEDS["default"])]
    assert_same_agents(*agents)
    fits = [fitted(speed=speed)[0] for speed in (Speed("medium"), GENERATOR_SPEEDS["default"])]
    assert_same_state(*(generator.state_dict() for generator in fits))
    assert [record.getMessage() for record in caplog.records if record.name == "genreplay"] == [
        f"{what} cannot be compiled on this machine (no space left) and runs eagerly"
        for what in ("the critic update", "the generator's loss")
    ]


def test_by_default_a_machine_without_a_compiler_runs_eagerly_and_says_nothing(failing, monkeypatch, caplog):
    monkeypatch.setenv("CXX", "no-such-compiler")
    agents = [trained(CONTINUOUS["plain"], 2, speed=speed)[0] for speed in (EXACT, AGENT_SPEEDS["default"])]
    assert_same_agents(*agents)
    fits = [fitted(speed=speed)[0] for speed in (Speed("medium"), GENERATOR_SPEEDS["default"])]
    assert_same_state(*(generator.state_dict() for generator in fits))
    assert not caplog.records


def test_generated_code_makes_the_same_updates_and_goes_on_from_a_checkpoint_to_the_last_bit():
    agent = CONTINUOUS["plain"]
    eager, its_metrics = trained(agent)
    compiled, metrics = trained(agent, speed=AGENT_SPEEDS["default"])
    assert_close_agents(compiled, eager, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(metrics, its_metrics, rtol=1e-3, atol=1e-4, equal_nan=True)
    assert any(not torch.equal(a, b) for a, b in zip(compiled.parameters(), eager.parameters(), strict=True))
    resumed = make_agent(seed=99, speed=AGENT_SPEEDS["default"])
    resumed.load_state_dict(copy.deepcopy(compiled.state_dict()))
    resumed.load_optimizer_state_dict(copy.deepcopy(compiled.optimizer_state_dict()))
    for learner in (compiled, resumed):
        for seed in range(2):
            step(learner, make_block(seed=seed))
    assert_same_agents(compiled, resumed)


def test_generated_code_in_bfloat16_with_layernorm_makes_the_same_updates(monkeypatch):
    monkeypatch.setattr(precision, "_CPU_HAS_BFLOAT16", True)
    agent = DISCRETE["discrete, LayerNorm"]
    eager, its_metrics = trained(agent)
    compiled, metrics = trained(agent, speed=FAST)
    torch.testing.assert_close(compiled.critics.state_dict(), eager.critics.state_dict(), rtol=0, atol=5e-3)
    torch.testing.assert_close(metrics, its_metrics, rtol=0.05, atol=0.05, equal_nan=True)


def test_generated_code_fits_the_same_generator():
    eager, its_metrics = fitted()
    compiled, metrics = fitted(speed=Speed(compile=True, eager_fallback=True))
    assert any(not torch.equal(a, b) for a, b in zip(compiled.parameters(), eager.parameters(), strict=True))
    assert_close_generators(compiled, eager, atol=1e-3)
    assert metrics["loss_last"] == pytest.approx(its_metrics["loss_last"], rel=1e-3)
