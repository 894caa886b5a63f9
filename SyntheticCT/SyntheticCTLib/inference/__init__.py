"""An MR and a model in, a synthetic CT on exactly the MR's grid and its uncertainty out.

Offers: synthesis (generate), prediction (all slabs of a volume), device (processor or GPU).
May use: basics, volumes, normalization, network, bundle.
"""

from .synthesis import generate

__all__ = ["generate"]
