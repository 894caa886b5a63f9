"""Two doses and a criterion in, gamma, pass rates and hot spots out.

Offers: comparison, engines (one pair; the engine is chosen there), criteria, hot_spots.
Inside: exact and by_pymedphys (the engines), further (criteria beside the first), cells, tiles,
    planes and compiled (fine planes), edges (where a dose ends).
May use: basics, dicom, volumes, dose.
"""
