"""RTSTRUCT, segmentations and doses in, masks and dose-volume figures out.

Offers: reading (masks by name), target (which of them it is), roi_types (what they are), dvh,
    dvh_points (asked for), spatial_registration (ROIs of another frame of reference).
Inside: rtstruct, contours (outlines to masks), nesting (holes and copies), registration_matrix,
    deformable_registration (what bends).
May use: basics, dicom, volumes.
"""
