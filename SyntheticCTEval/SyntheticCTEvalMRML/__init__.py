"""Between the evaluation's core and the module's logic: an evaluation as MRML nodes, and its jobs.

Used by the module's logic and by the command line for scene.mrb; runs in Slicer and, with PyPI's
slicer-core, without it.
"""
