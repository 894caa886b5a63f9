"""Evaluation of a synthetic CT against the true CT, in rooms.

A room is a package. Its docstring says what comes in and out, what it offers to other rooms, which
files are inside besides, and which rooms it may use. Testing/rooms.txt is their order.
"""
