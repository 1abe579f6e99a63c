"""Comparison of runs over training seeds: reading, statistics, tables, figures and a page."""
