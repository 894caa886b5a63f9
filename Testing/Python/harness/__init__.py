"""As much of Slicer as the modules need, for tests without Slicer: see Testing/README.md.

Importing the package needs slicer-core only; :func:`open_slicer` needs PySide6 as well.
"""

from __future__ import annotations

from .scenes import new_scene, read_bundle, render_slice
from .session import Slicer, open_slicer

__all__ = ["Slicer", "new_scene", "open_slicer", "read_bundle", "render_slice"]
