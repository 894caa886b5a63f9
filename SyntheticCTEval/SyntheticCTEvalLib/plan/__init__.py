"""An RTPLAN file in, photon beams as a machine delivers them out, and back to a file.

Offers: beams (what a plan is), geometry (where a beam comes from, in the patient's coordinates).
May use: basics, dicom.
"""
