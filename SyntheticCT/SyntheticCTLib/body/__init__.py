"""A CT-like image or an MR in, the patient's body contour out, couch and clothes taken away.

Offers: contour, morphology, labels (the patient and the couch in a mask).
Inside: couch, covers.
May use: basics, volumes.
"""
