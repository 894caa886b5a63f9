"""A folder as it comes from an archive in; its patients, series, roles and a manifest out.

Offers: sorting (all of it), rows (series and their parts), roles (ROLES), table (what people are
    shown), manifest (lines of cohort and train), index (what is kept for the next run).
Inside: facts (what one file says), scan (reading new files only), persons (telling patients apart,
    pseudonyms, names taken out of texts), mr_roles, synthetic (is a CT computed?), references
    (what refers to what).
May use: basics, dicom, mrcat.
"""
