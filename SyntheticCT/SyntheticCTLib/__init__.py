"""Synthetic CT from T2-weighted MR: normalization, registration, networks, phantom."""

__version__ = "0.1.0"
