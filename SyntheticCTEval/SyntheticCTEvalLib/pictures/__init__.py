"""An evaluation in, its pictures out: PNG bytes with what they show in words.

Offers: planes (through the patient, Picture), maps (images in three planes), dose_maps (doses,
    their differences and gamma), charts, registration (before and after), normalisation (what
    percentages of dose are of).
Inside: board (panels side by side), contours (of structures), places (of the worst dose).
May use: evaluation and below.
"""
