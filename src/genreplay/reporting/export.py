"""Export of a trained policy: one ONNX file, and a JSON card of its inputs and outputs."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genreplay import __version__
from genreplay.common.errors import UserError
from genreplay.common.files import writing
from genreplay.runs.policy import LoadedPolicy, load_policy
from genreplay.transitions.columns import TransitionLayout
from genreplay.transitions.keys import OBSERVATION

FORMAT = 1
MODEL, CARD = "policy.onnx", "policy.json"
NUM_CHECKED = 1_000
TOLERANCE = 1e-5
"""Largest difference of an action entry, in [-1, 1], that rounding explains."""


def export(folder: Path, output: Path) -> str:
    """Write the policy of a checkpoint or a published folder to `output`; a line that says what was written.

    The file is run and compared with the policy before this returns.

    Raises:
        UserError: there is no such checkpoint, the extra packages are missing, or `output` cannot be written to.
    """
    _require_packages()
    loaded = load_policy(folder)
    with writing(output, "another folder"):
        output.mkdir(parents=True, exist_ok=True)
        write_onnx(loaded.policy.module, observations(loaded.world.layout, 2), output / MODEL)
        card = make_card(loaded)
        (output / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    difference = _largest_difference(loaded, output / MODEL)
    if difference > TOLERANCE:
        raise RuntimeError(f"{output / MODEL}: its actions differ from the policy's by {difference:.3g}")
    return (
        f"{output / MODEL} and {output / CARD}: the policy of {_origin(loaded)} at env step {loaded.env_step}; largest "
        f"difference to it on {NUM_CHECKED} random observations {difference:.1e}"
    )


def _origin(loaded: LoadedPolicy) -> str:
    return f"the published folder {loaded.folder}" if loaded.run_id is None else f"run {loaded.run_id}"


def make_card(loaded: LoadedPolicy) -> dict[str, Any]:
    """What a controller needs in addition to the ONNX file, and the run that it came from; plain JSON."""
    config, world = loaded.config, loaded.world
    return {
        "format": FORMAT,
        "genreplay": __version__,
        "model": {"file": MODEL, "input": "observation", "output": "action", "type": "float32", "shape": "[batch, n]"},
        **world.card(),
        "discount": {"gamma": config.agent.gamma, "period": world.discount_period},
        "checkpoint": {
            "run_id": loaded.run_id,
            "number": loaded.folder.name,
            "env_step": loaded.env_step,
            "seed": config.seed,
        },
        "metrics": {
            "name": world.primary_metric,
            "unit": world.primary_unit,
            "evaluation_seeds": list(config.evaluation.seeds),
            "last_evaluation": loaded.curve[-1] if loaded.curve else None,
        },
    }


def write_onnx(policy: nn.Module, example: Tensor, path: Path) -> None:
    """One ONNX file of `policy` (observation `[batch, O]` -> action `[batch, A]`), weights included."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)  # it warns that torchvision, which nothing here uses, is not installed
    try:
        with warnings.catch_warnings():
            # torch 2.13 copies its own deprecated class.
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            torch.onnx.export(
                policy.eval(),
                (example,),
                path,
                dynamo=True,
                verbose=False,
                input_names=["observation"],
                output_names=["action"],
                dynamic_shapes={"observation": {0: torch.export.Dim("batch")}},
                external_data=False,
            )
    finally:
        registration.setLevel(level)


def observations(layout: TransitionLayout, count: int) -> Tensor:
    """Random observations `[count, O]` in the layout's range (standard normal without one), always the same."""
    rng = np.random.default_rng(0)
    columns = [column for column in layout.columns if column.key == OBSERVATION]
    values = np.zeros((count, sum(column.width for column in columns)), dtype=np.float32)
    for column in columns:
        for i in range(column.start, column.start + column.width):
            bounded = column.kind != "continuous" or np.isfinite([column.low, column.high]).all()
            low, high = (column.low, column.high) if column.kind == "continuous" else (0.0, 1.0)
            values[:, i] = rng.uniform(low, high, count) if bounded else rng.normal(size=count)
    return torch.from_numpy(values)


def _largest_difference(loaded: LoadedPolicy, path: Path) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = observations(loaded.world.layout, NUM_CHECKED)
    (actions,) = session.run(None, {"observation": inputs.numpy()})
    return float(np.abs(actions - loaded.policy.module(inputs).numpy()).max())


def _require_packages() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        raise UserError(
            f"export: needs packages that are not installed ({names}); run: pip install 'genreplay[export]'"
        )
