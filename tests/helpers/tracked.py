"""What tests of the tracker and of the store share."""

from pathlib import Path

from genreplay.runs.tracker import Tracker

URI = "sqlite:///mlruns/mlflow.db"
CONFIG = "seed: 0\nagent:\n  name: redq_sac\n  target_entropy: null\nevaluation:\n  seeds: [1, 2]\n"


def has_checkpoint(folder: Path) -> bool:
    return (folder / "saved").is_file()


def save_something(tracker: Tracker) -> Path:
    tracker.checkpoint_dir.mkdir(parents=True, exist_ok=True)
    (tracker.checkpoint_dir / "saved").write_text("")
    return tracker.checkpoint_dir
