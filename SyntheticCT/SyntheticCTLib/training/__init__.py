"""A manifest of MR/CT pairs in, a trained model and its record out.

Offers: epochs (train), pairs (manifest to aligned pairs), settings, checkpoint.
Inside: sampler (the slabs of an epoch).
May use: all rooms up to inference.
"""
