"""A run on disk and in MLflow: tracking, checkpoints, and what they are read back as."""
