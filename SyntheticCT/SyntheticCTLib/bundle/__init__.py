"""A model's folder in, network, standard scale, domain and record out, sealed by SHA-256.

Offers: folder (load_bundle, save_bundle, read_card), domain (does an MR fit?).
May use: basics, volumes, normalization, network.
"""

from .folder import load_bundle

__all__ = ["load_bundle"]
