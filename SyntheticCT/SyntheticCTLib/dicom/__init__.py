"""DICOM files in; images (mm, LPS) in the order of their slices out.

Offers: series (a folder of slices), multiframe (one file), choice (of a series in a folder),
headers, frame_of_reference.
May use: basics.
"""
