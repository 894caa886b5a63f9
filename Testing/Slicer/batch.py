"""The whole workflow in Slicer without a window, by the calls that the panels' buttons make.

    Slicer --no-main-window --python-script Testing/Slicer/batch.py MR CT FOLDER [MRCAT]

MR, CT and MRCAT are volume files. FOLDER gets the synthetic CT, the report, tables and the scene.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import slicer


def process(
    mr: Any, ct: Any, folder: str, mrcat: Any = None, *, model: str = "demo", settings: Any = None
) -> Any:
    """Make the synthetic CT of an MR, hold it against the true CT, and write everything.

    Args:
        mr, ct, mrcat: scalar volume nodes.
        folder: of the results.
        settings: SyntheticCTEvalLib.evaluation.EvaluationSettings.

    Returns:
        SyntheticCTEvalLib.results.Evaluation.
    """
    from SyntheticCTLib.volumes import write_volume
    from SyntheticCTMRML.nodes import image_from_node

    from SyntheticCT import SyntheticCTLogic
    from SyntheticCTEval import SyntheticCTEvalLogic

    sct = SyntheticCTLogic().startGenerate(mr, model).wait().sct
    candidates = {"sCT": sct, **({"MRCAT": mrcat} if mrcat is not None else {})}
    logic = SyntheticCTEvalLogic()
    job = logic.startEvaluation(ct, candidates, mrNode=mr, settings=settings)
    evaluation, nodes = job.wait()
    logic.exportResults(nodes.metrics, folder)
    write_volume(image_from_node(sct), Path(folder) / "sct.nrrd")
    return evaluation


def main(arguments: list[str]) -> int:
    """Load the files, run, and print the figures; return the exit code."""
    from SyntheticCTLib.errors import SyntheticCTError

    if len(arguments) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    mr, ct, *mrcat = (slicer.util.loadVolume(p) for p in (*arguments[:2], *arguments[3:]))
    try:
        evaluation = process(mr, ct, arguments[2], *mrcat)
    except SyntheticCTError as error:
        print(error, file=sys.stderr)
        return 2
    for name, candidate in evaluation.candidates.items():
        figures = candidate.metrics
        print(f"{name}: MAE in the body {figures['mae_body']:.1f} HU, gamma {figures['gpr']}")
    return 0


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except Exception as error:  # Slicer without a window would run on
        print(error, file=sys.stderr)
        code = 1
    slicer.util.exit(code)
