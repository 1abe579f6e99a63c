"""Policies and baselines on the same fixed-seed episodes."""
