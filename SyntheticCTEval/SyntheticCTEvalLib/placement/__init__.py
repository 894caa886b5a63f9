"""True CT and candidates on any grids in, the candidates on the CT's grid and what they cover out.

Offers: place (place_candidates, Placed), coverage (what figures are over), bending (how far).
May use: basics, volumes, registration.
"""
