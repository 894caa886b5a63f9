"""A CT-like image, an MR's DICOM headers, masks and a dose in; DICOM for planning systems out.

Offers: source (the MR's headers, and whether a volume lies in its frame), folder (all that one
    export writes), registration (REG, and what it is of), dose_plan (what a dose is the sum of),
    dose (RTDOSE), objects (what all files have in common, and whose a file is).
Inside: axial (the grid), ct (slices), outlines (masks to contours), structure_set (RTSTRUCT),
    registered (whether images lie on one another by a transform).
May use: basics, dicom, volumes, body.
"""
