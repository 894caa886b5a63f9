"""Parts of the panels that both modules use; runs in Slicer only.

Widgets and calls of a logic, no computation.
"""
