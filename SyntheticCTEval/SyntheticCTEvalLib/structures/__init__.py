"""RTSTRUCT, segmentations and doses in, masks and dose-volume figures out.

Offers: reading (masks by name), target (which of them it is), dvh.
May use: basics, dicom, volumes.
"""
