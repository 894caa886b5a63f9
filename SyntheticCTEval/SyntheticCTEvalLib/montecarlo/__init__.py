"""A plan and CT-like volumes in, their doses by Monte Carlo and the doses' noise out.

Photons and electrons are followed by pyRadMC's physics (Apache-2.0, DKFZ) in water of other
densities; only this room knows of pyRadMC.

Offers: doses (on the true CT and on candidates), recalculation (the same for an evaluation, with
    the noise of its pass rates), batches (how long it runs), density_curve (a user's curve),
    calculation (a batch in all volumes), spectrum (energies of a plan's photons), dose_files (as
    RTDOSE).
Inside: smoothing (beyond the pencil beam), pass_rate_noise, tables (water's data), physics and
    transport (compiled).
May use: basics, dicom, volumes, body, export, plan, dose, delivery, gamma.
"""
