"""The border between MRML nodes and the core: volumes in and out, and how they are shown.

Used by the modules' logics and by SyntheticCTEvalMRML.scene; runs in Slicer and, with PyPI's
slicer-core, without it. MRML is RAS and the core is LPS: nothing else crosses that line.
"""
