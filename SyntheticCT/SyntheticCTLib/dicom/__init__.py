"""DICOM files in; images (mm, LPS) in the order of their slices out.

Offers: series (a folder of slices), multiframe (one file), choice (of a series in a folder),
headers, contrast, parts (of a series: echoes, b-values, ...), frame_of_reference, order (of slices
and frames, and the geometry that follows), pixels (rescaling), scaling (which
values are intensities), frames (of enhanced files), roi_types (what
structures are).
May use: basics.
"""
