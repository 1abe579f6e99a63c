"""Relevance functions F(s, a, s', r) -> [N, 1], trained on real transitions only."""
