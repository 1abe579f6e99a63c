"""The training run: the loop, its schedules, its checkpoints and its progress display."""
