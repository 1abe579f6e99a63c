"""Where a compiler is looked for, and when it is used."""

import shutil
import sys

import pytest
import torch

from genreplay.common.compilation import compiled, compiles, find_compiler
from genreplay.common.precision import AGENT_SPEEDS, EXACT, Speed

USUAL = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")


def program(folder, name):
    file = folder / name
    file.touch(mode=0o755)
    return str(file)


def test_the_compiler_is_the_one_that_cxx_names_or_else_the_usual_one(tmp_path):
    path = {"PATH": str(tmp_path)}
    assert find_compiler(path) is None
    usual, other = program(tmp_path, USUAL), program(tmp_path, "other++")
    assert find_compiler(path) == usual
    assert find_compiler(path | {"CXX": "other++"}) == find_compiler({"PATH": "", "CXX": other}) == other
    assert find_compiler(path | {"CXX": "missing++"}) is None
    assert find_compiler(path | {"CXX": ""}) is None


@pytest.mark.parametrize("there", [True, False])
def test_the_default_compiles_on_a_cpu_with_a_compiler_alone(monkeypatch, there):
    monkeypatch.setenv("CXX", shutil.which("true") if there else "missing++")
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert compiles(AGENT_SPEEDS["default"], cpu) == there
    assert not compiles(AGENT_SPEEDS["default"], gpu)
    assert compiles(Speed(compile=True), cpu), "what must be compiled fails where it cannot"
    assert compiles(Speed(compile=True), gpu)
    assert not compiles(EXACT, cpu)


def test_a_function_is_left_as_it_is_where_torch_forbids_compiling():
    with torch._dynamo.config.patch(disable=True):
        assert compiled(torch.neg, "negation") is torch.neg
