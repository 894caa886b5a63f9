"""Slabs of three MR slices in, slabs of CT numbers out: the GAN and how volumes become slabs.

Offers: gan (generator, discriminator), slabs.
May use: volumes.
"""
