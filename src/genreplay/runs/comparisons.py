"""A comparison as a run of its own in the experiment store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from genreplay.runs.store import connect, experiment_id_of, store_errors

EXPERIMENT = "comparisons"
LONGEST_TAG = 5000
"""Characters of a tag that every store takes."""


def publish(uri: str, name: str, folder: Path, arms: Mapping[str, list[str]], tags: Mapping[str, str]) -> str:
    """Log the files of a folder as a finished run of the experiment `comparisons`; its id.

    Its tags `arm.0`, `arm.1` and so on name each arm with the ids of its runs; its description links to them.

    Args:
        uri: of the store.
        name: of the run.
        folder: whose files are kept.
        arms: ids of the runs compared, by arm.
        tags: to add.

    Raises:
        UserError: the store cannot be used.
    """
    with store_errors(uri):
        client = connect(uri)
        run = client.create_run(experiment_id_of(client, uri, EXPERIMENT), run_name=name)
        run_id = run.info.run_id
        links = []
        for number, (arm, ids) in enumerate(arms.items()):
            client.set_tag(run_id, f"arm.{number}", f"{arm}: {', '.join(ids)}"[:LONGEST_TAG])
            for one in ids:
                known = client.get_run(one).info
                links.append(f"- [{_plain(arm)}, {one}](#/experiments/{known.experiment_id}/runs/{one})")
        for key, text in tags.items():
            client.set_tag(run_id, key, text[:LONGEST_TAG])
        client.set_tag(run_id, "mlflow.note.content", "\n".join(["Runs compared:", "", *links])[:LONGEST_TAG])
        client.log_artifacts(run_id, str(folder))
        client.set_terminated(run_id)
    return run_id


def _plain(text: str) -> str:
    """Text without what Markdown or HTML would take for a command."""
    return "".join(letter if letter.isalnum() or letter in " .,+-/()%" else "_" for letter in text)
