"""Dose files, or CT numbers and a plan, in; doses in Gy out.

Offers: doses (imported, or recalculated: a dose engine is called there), reading, units (gray),
    difference, plausibility (which doses cannot be), moved (with its candidate), rtplan (what a
    plan prescribes), pencil_beam (the engine), recalculation (one plan on every volume), plan (the
    seven fields), electron_density, overrides (CT numbers of structures replaced).
Inside: rtdose.
May use: basics, dicom, volumes, body, plan.
"""
