"""Dose files, or CT numbers and a plan, in; doses in Gy out.

Offers: doses (imported or recalculated), reading (RTDOSE, volumes), units (gray), difference,
    plausibility (which doses cannot be), moved (with its candidate).
May use: basics, dicom, volumes.
"""
