"""Two doses and a criterion in, gamma, pass rates and hot spots out.

Offers: comparison, engines (one pair; the engine is chosen there), criteria, hot_spots.
May use: basics, dicom, volumes, dose.
"""
