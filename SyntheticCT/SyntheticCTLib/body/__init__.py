"""A CT-like image or an MR in, the patient's body contour out, couch and clothes taken away.

Offers: contour, morphology.
May use: basics, volumes.
"""
