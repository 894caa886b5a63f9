"""Synthetic CT from T2-weighted MR, in rooms.

A room is a package. Its docstring says what comes in and out, what it offers to other rooms, which
files are inside besides, and which rooms it may use. Testing/rooms.txt is their order.
"""

__version__ = "0.1.0"
