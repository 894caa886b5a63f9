"""Export of a synthetic CT as DICOM, as stages of a job: a child process writes the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slicer.i18n import tr as _
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.export.objects import written_here

from .child_process import CommandLine
from .dicom_database import add_files, series_of
from .hierarchy import SOURCE
from .job_volumes import Source
from .jobs import Job, Stage, Steps, Turn
from .packages import require


class Export:
    """What writes one synthetic CT into a folder.

    Args:
        sct: the synthetic CT's volume node.
        mr_folder: DICOM folder of the MR that it was made of, or FOLDER#SERIES; "" takes the
            series that Slicer's DICOM module loaded that MR from.
        folder: for the DICOM files.
        body: writes the body contour that is found in the synthetic CT, too.
        seed_uids: UIDs that depend on the content alone.

    Raises:
        SyntheticCTError: the volume cannot be used, or a folder is missing.
    """

    def __init__(
        self, sct: Any, mr_folder: str, folder: str, *, body: bool = False, seed_uids: bool = False
    ) -> None:
        self._sct = Source(sct, _("synthetic CT"))
        mr_folder = mr_folder or mr_series(sct)
        if not mr_folder or not folder:
            raise SyntheticCTError(
                _("An export needs the MR's DICOM folder and a folder to write to: choose both.")
            )
        self._like, self._folder = str(mr_folder), str(folder)
        self._options = ["--body", "auto"] if body else []
        self._options += ["--seed-uids"] if seed_uids else []
        if body:
            require("contours")

    def stages(self) -> list[Stage]:
        """Return the stages of the job, whose result is the folder.

        What is written is copied into Slicer's DICOM database, too, where one is open.
        """
        return [Steps(self._sct.steps), CommandLine(self._arguments), Turn(self._result)]

    def _arguments(self, job: Job) -> list[Any]:
        arguments = ["export", self._sct.path(job), "--like", self._like]
        return [*arguments, "--output", self._folder, *self._options]

    def _result(self, job: Job) -> str:
        add_files(sorted(path for path in Path(self._folder).iterdir() if written_here(path)))
        return self._folder


def mr_series(sct: Any) -> str:
    """Return the DICOM series of the MR that a synthetic CT was made of, ``FOLDER#SERIES``.

    "" where Slicer's DICOM database does not know it.
    """
    sources = (
        sct.GetNthNodeReference(SOURCE, n) for n in range(sct.GetNumberOfNodeReferences(SOURCE))
    )
    return next((found for found in map(series_of, filter(None, sources)) if found), "")
