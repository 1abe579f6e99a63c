"""Figures, films, exports and the page of a run."""
