"""An evaluation in, its pictures out: PNG bytes with what they show in words.

Offers: planes (through the patient, boards of panels, Picture), maps (images, doses and gamma in
    three planes), charts, registration (before and after).
May use: evaluation and below.
"""
