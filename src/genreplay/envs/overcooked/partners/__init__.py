"""Scripted partners, and who plays each seat."""
