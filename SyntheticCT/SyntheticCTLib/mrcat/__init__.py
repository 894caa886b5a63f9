"""A CT or mDixon images in, an MRCAT look-alike of five bulk densities out.

Offers: bulk_densities.
May use: basics, volumes.
"""
