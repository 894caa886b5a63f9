"""True CT and candidates on any grids in, the candidates on the CT's grid and what they cover out.

Offers: place (place_candidates, Placed), coverage (what of the body figures are over).
May use: basics, volumes, registration.
"""
