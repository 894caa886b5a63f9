"""Volume files and DICOM folders in, SimpleITK images (mm, LPS) out, and back to files.

Offers: reading, checks, hounsfield (is a CT in HU?), plausible (is an MR one?), sameness (are two
    one?), writing, resampling, grids, marks, segmentation, mask_folder.
Inside: nifti and text_headers (NRRD, MetaImage): damaged files, headers that mislead.
May use: basics, dicom.
"""

from .reading import read_volume
from .writing import write_volume

__all__ = ["read_volume", "write_volume"]
