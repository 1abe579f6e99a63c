"""Gaussian diffusion of whole transitions (Karras et al., 2022)."""
