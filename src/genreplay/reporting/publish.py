"""Publishing a policy: its weights, config, evaluation and card in one small folder (see `runs.published`)."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save

from genreplay import __version__
from genreplay.common.errors import UserError
from genreplay.common.files import writing
from genreplay.common.scratch import Scratch
from genreplay.config.reader import to_yaml
from genreplay.evaluation.episode_pool import POLICY
from genreplay.evaluation.files import write_episodes
from genreplay.evaluation.result import EvaluationResult
from genreplay.reporting.page_evaluation import Evaluated, read_evaluation
from genreplay.reporting.policy_card import card_text, evaluation_entries
from genreplay.runs import published, record, store
from genreplay.runs.policy import LoadedPolicy
from genreplay.runs.record import Record

SIMULATED = "Trained and evaluated in simulation only."
NO_LICENCE = "not stated"


def publish(
    loaded: LoadedPolicy, name: str, evaluation: Path, output: Path, licence: str | None, named_uri: str | None
) -> str:
    """Write the folder of a published policy; a line that says what was written.

    Args:
        loaded: the policy of a checkpoint, without overrides.
        name: of the policy.
        evaluation: folder that `genreplay evaluate --output` wrote of it.
        output: the folder to write. One with a published policy is replaced as a whole.
        licence: of the weights.
        named_uri: the store of its run; None for the one that the run's config means.

    Raises:
        UserError: the store does not know the run, the evaluation is of another policy, or `output` cannot be written.
    """
    check_output(output)
    evaluated = _evaluated(loaded, evaluation)
    uri = store.store_uri(named_uri or store.store_of(loaded.folder, loaded.config.tracking.uri))
    with Scratch("publish") as scratch:
        run = record.read(uri, loaded.run_id or "", (), Path(scratch) / "artifacts")
        folder = Path(scratch) / name
        _write_files(folder, loaded, evaluated)
        card = _card(loaded, run, name, evaluated.result, licence)
        card["files"] = {file: published.digest(folder / file) for file in published.FILES}
        (folder / published.CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        (folder / published.TEXT).write_text(card_text(card), encoding="utf-8")
        with writing(output, "another folder"):
            partial = output.with_name(f".{output.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(folder, partial)
            if output.exists():
                shutil.rmtree(output)
            partial.rename(output)
    return f"{output}: policy {name} of run {run.name} ({run.run_id}), {published.size(output) / 1e3:.0f} kB"


def check_output(output: Path) -> None:
    """UserError where `output` holds something else than a published policy."""
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not published.is_published(output)):
        raise UserError(f"--output {output}: is no published policy, and would be replaced; name a new folder")


def _evaluated(loaded: LoadedPolicy, folder: Path) -> Evaluated:
    """The evaluation in `folder`, which must be of this policy in its own environment."""
    evaluated = read_evaluation(folder, loaded)
    if evaluated is None:
        raise UserError(f"--evaluation {folder}: holds no evaluation; write one with: genreplay evaluate --output DIR")
    about = evaluated.about
    if (about.get("run_id"), about.get("env_step")) != (loaded.run_id, loaded.env_step):
        raise UserError(
            f"--evaluation {folder}: is of run {about.get('run_id')} at env step {about.get('env_step')}, and the "
            f"policy is of run {loaded.run_id} at env step {loaded.env_step}; evaluate this one"
        )
    if evaluated.changes:
        key, (own, theirs) = next(iter(evaluated.changes.items()))
        raise UserError(
            f"--evaluation {folder}: was played with {key}={theirs}, and the policy was trained with {own}; evaluate "
            "it without overrides"
        )
    if POLICY not in evaluated.result.controllers:
        raise UserError(f"--evaluation {folder}: has baselines only; evaluate the policy too")
    return evaluated


def _write_files(folder: Path, loaded: LoadedPolicy, evaluated: Evaluated) -> None:
    (folder / published.ABOUT).parent.mkdir(parents=True)
    weights = {key: tensor.detach().cpu().clone() for key, tensor in loaded.policy.state_dict().items()}
    (folder / published.WEIGHTS).write_bytes(save(weights))
    tree = yaml.safe_load(to_yaml(loaded.config))
    del tree["tracking"]  # where it was tracked is of no use to others
    config_yaml = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    (folder / published.CONFIG).write_text(config_yaml, encoding="utf-8")
    write_episodes(evaluated.result, folder / published.EPISODES)
    about = {
        "env_step": loaded.env_step,
        "config": config_yaml,
        "searches": evaluated.about.get("searches", {}),
    }
    (folder / published.ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _card(
    loaded: LoadedPolicy, run: Record, name: str, result: EvaluationResult, licence: str | None
) -> dict[str, Any]:
    config, world = loaded.config, loaded.world
    options = {label: getattr(config.env, key) for label, key in getattr(config.env, "FACTS", ())}
    environment = {"environment": config.env.name, **{label: v for label, v in options.items() if v not in (None, [])}}
    place = " ".join(str(value) for value in list(environment.values())[:2])
    parts = [getattr(config, kind).name for kind in ("generator", "relevance") if config.has(kind)]
    return {
        "format": published.FORMAT,
        "genreplay": __version__,
        "name": name,
        "place": place,
        "summary": f"{config.agent.name}{' with ' + ' and '.join(parts) if parts else ' on real transitions'}",
        "licence": licence or NO_LICENCE,
        "interface": published.interface_of(world.card()),
        "environment": environment,
        "training": _training(loaded, run),
        "evaluation": evaluation_entries(name, result),
        "limits": _limits(config.seed, result),
    }


def _training(loaded: LoadedPolicy, run: Record) -> dict[str, Any]:
    """The entries that `record.of_published` reads, and what else a reader wants to know."""
    tags = {name: run.tags[tag] for name, tag in record.TAGS.items() if tag in run.tags}
    tags |= {name: public_command(tags[name]) for name in ("command", "resumed") if name in tags}
    return {
        **tags,
        "seed": loaded.config.seed,
        "env_steps": loaded.env_step,
        "began": run.start.isoformat(timespec="seconds"),
        "run": run.run_id,
        "curve": [dict(point) for point in loaded.curve],
        "versions": {
            name: text for key, text in sorted(run.tags.items()) if (name := key.removeprefix("version.")) != key
        },
    }


def public_command(command: str) -> str:
    """A command line without what is of no use to others: folders of this machine, and the store's address."""
    program, *words = shlex.split(command)
    program = "genreplay" if Path(program).name in ("genreplay", "__main__.py") else Path(program).name
    kept = [re.sub(r"(^|=)/[^=]*/", r"\1", word) for word in words if not word.startswith("tracking.")]
    return shlex.join([program, *kept])


def _limits(seed: int, result: EvaluationResult) -> list[str]:
    unseen = [demand.name for demand in result.demands if not demand.in_range]
    return [
        SIMULATED,
        f"One training seed ({seed}): another one gives another policy.",
        "It acts only where inputs and outputs are the same: this map or layout, with these sensors.",
        *([f"Training draws no demands like {', '.join(unseen)}."] if unseen else []),
    ]
