"""An evaluation in, its pictures out: PNG bytes with what they show in words.

Offers: planes (through the patient, boards of panels, Picture), maps (images, doses and gamma in
    three planes), charts, registration (before and after), normalisation (what percentages
    of dose are of).
May use: evaluation and below.
"""
