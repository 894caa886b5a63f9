"""Where Slicer's program BRAINSFit is: it is run as a child, on files, and knows no nodes.

As a module of Slicer it would read its result back into a node in a later turn of the event
loop, and end Slicer where that node is gone by then.
"""

from __future__ import annotations

from pathlib import Path


def brainsfit_program() -> Path | None:
    """Return BRAINSFit's file; None where Slicer has none, as with --disable-cli-modules."""
    import slicer

    module = getattr(slicer.modules, "brainsfit", None)
    if module is None:
        return None
    # The module may be the library beside the program.
    folder = Path(module.path).parent
    found = (folder / name for name in ("BRAINSFit", "BRAINSFit.exe"))
    return next((path for path in found if path.is_file()), None)
