"""Synthetic CT from T2-weighted MR, in rooms: each one's docstring says what goes in and out.

The order of the rooms, from bottom to top, is Testing/rooms.txt.
"""

__version__ = "0.1.0"
