"""The digital patient of Slicer's Sample Data module, made on the spot: nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError

from .child_process import CommandLine
from .jobs import Job, JobListener, Turn

CATEGORY = "Synthetic CT"
SAMPLE = "SyntheticCTPhantom"
SEED = 1001
"""Of the demo: a digital patient that the demo model has not seen."""


def register_sample_data(thumbnail: str) -> None:
    """Offer the digital patient in the Sample Data module.

    Args:
        thumbnail: path of the button's picture.
    """
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE,
        uris="",
        fileNames=SAMPLE,
        nodeNames=SAMPLE,
        thumbnailFileName=thumbnail,
        customDownloader=load_sample,
    )


def load_sample(_source: Any = None) -> list[Any]:
    """Make the digital patient and load it: MR, CT, MRCAT look-alike, structures (nodes).

    The window stays alive meanwhile. An error is shown, and nothing is loaded then.
    """
    import slicer
    from slicer.i18n import tr as _

    from .views import show_overlay

    try:
        nodes = start_sample(_Status()).wait()
        show_overlay(nodes[1], nodes[0], 0.5)
        return nodes
    except SyntheticCTError as error:
        slicer.util.errorDisplay(
            _("The digital patient could not be made. {reason}").format(reason=error)
        )
        return []


def start_sample(
    listener: JobListener | None = None, grid: str = "coarse", seed: int = SEED
) -> Job:
    """Start making and loading a digital patient; the job's result is the list of nodes.

    Args:
        grid: "clinical", "coarse" or "tiny", as in ``synthetic-ct phantom``.
    """
    nodes: list[Any] = []

    def arguments(job: Job) -> list[str]:
        return ["phantom", "--seed", str(seed), "--grid", grid, "--output", str(job.folder)]

    def volume(file: str, name: str) -> Turn:
        return Turn(lambda job: nodes.append(_load_volume(_case(job, seed) / file, name, seed)))

    def structures(job: Job) -> list[Any]:
        nodes.append(_load_structures(_case(job, seed) / "structures_ct.seg.nrrd", nodes[1], seed))
        return nodes

    return Job(
        [
            CommandLine(arguments),
            volume("mr.nrrd", "MR"),
            volume("ct.nrrd", "CT"),
            volume("mrcat.nrrd", "MRCAT (synthetic, research use)"),
            Turn(structures),
        ],
        listener,
    ).start()


class _Status(JobListener):
    """Shows the progress in Slicer's status bar."""

    def __init__(self) -> None:
        from slicer.i18n import tr as _

        self._text = _("Making the digital patient ({step})")

    def onProgress(self, step: str, fraction: float, details: dict[str, Any]) -> None:
        import slicer

        slicer.util.showStatusMessage(self._text.format(step=step), 5000)


def _case(job: Job, seed: int) -> Path:
    return job.folder / f"phantom_{seed}"


def _load_volume(path: Path, name: str, seed: int) -> Any:
    import slicer
    from SyntheticCTLib.volumes.reading import read_volume

    from . import display
    from .nodes import add_volume

    node = add_volume(slicer.mrmlScene, read_volume(path, name), f"Phantom {seed} {name}")
    (display.show_mr if name == "MR" else display.show_ct)(node)
    return node


def _load_structures(path: Path, ct_node: Any, seed: int) -> Any:
    import slicer
    from SyntheticCTLib.volumes.segmentation import read_segmentation

    from .segments import add_segmentation

    masks = read_segmentation(path)
    return add_segmentation(slicer.mrmlScene, f"Phantom {seed} structures", masks, ct_node)
