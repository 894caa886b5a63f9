"""Volume files and DICOM folders in, SimpleITK images (mm, LPS) out, and back to files.

Offers: reading, checks, writing, resampling, grids, marks, sameness, segmentation,
mask_folder.
May use: basics, dicom.
"""

from .reading import read_volume
from .writing import write_volume

__all__ = ["read_volume", "write_volume"]
