"""Evaluation of a synthetic CT against the true CT: image, dose, gamma, report, study.

The order of the rooms, from bottom to top, is Testing/rooms.txt.
"""
