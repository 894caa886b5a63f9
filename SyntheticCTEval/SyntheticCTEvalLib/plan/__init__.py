"""An RTPLAN file in, photon beams as a machine delivers them out, and back to a file.

Offers: beams (what a plan is), geometry (where a beam comes from, in the patient's coordinates),
    reading (read_plan), writing (write_plan), deliverable (what a plan must fulfil), prescription,
    source (where a plan's photons start and go), field_ends (whether a CT ends inside a field).
Inside: beam_items (one beam of a file).
May use: basics, dicom, body, export.
"""
