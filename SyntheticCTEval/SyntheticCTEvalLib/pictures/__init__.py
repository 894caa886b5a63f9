"""An evaluation in, its pictures out: PNG bytes with what they show in words.

Offers: planes (through the patient, Picture), maps (images in three planes), dose_maps (doses,
    their differences and gamma), charts, registration (before and after), normalisation (what
    percentages of dose are of), places (of the worst dose).
Inside: board (panels side by side), contours (of structures).
May use: evaluation and below.
"""
