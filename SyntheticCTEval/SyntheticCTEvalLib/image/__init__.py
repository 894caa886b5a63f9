"""True CT and candidates on one grid in, image figures (MAE, SSIM, DSC, surfaces) out.

Offers: similarity (every figure of a pair), difference (HU), rigid_alone,
    background (what lies around the patient, or fills up a part), body_agreement, mr_similarity,
    mirrored (are left and right exchanged?).
Inside: ssim, ms_ssim, surfaces.
May use: basics, volumes, body, normalization.
"""
