"""True CT and candidates on any grids in, the candidates on the CT's grid and what they cover out.

Offers: place (place_candidates, place_by_mr, Placed, Placement), ways (none, rigid, deformable; by
    which image), coverage (what figures are over), bending (how far).
Inside: mr_space (whether candidates lie in the MR's space).
May use: basics, dicom, volumes, registration.
"""
