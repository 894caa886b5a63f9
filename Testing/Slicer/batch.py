"""The whole workflow in Slicer without a window, by the calls that the panels' buttons make.

    Slicer --no-main-window --python-script Testing/Slicer/batch.py MR CT FOLDER
        [--mrcat FILE] [--structures FILE] [--model BUNDLE]

MR, CT and MRCAT are volume files, structures a segmentation file (.seg.nrrd), in which the target
of the dose is found by its name. FOLDER gets the synthetic CT, the report, tables and the scene.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import slicer


def process(
    mr: Any,
    ct: Any,
    folder: str,
    *,
    mrcat: Any = None,
    structures: Any = None,
    model: str = "demo",
    settings: Any = None,
) -> Any:
    """Make the synthetic CT of an MR, hold it against the true CT, and write everything.

    Args:
        mr, ct, mrcat: scalar volume nodes.
        folder: of the results.
        structures: segmentation node.
        settings: SyntheticCTEvalLib.evaluation.EvaluationSettings.

    Returns:
        SyntheticCTEvalLib.results.Evaluation.
    """
    from SyntheticCTLib.volumes.writing import write_volume
    from SyntheticCTMRML.nodes import image_from_node

    from SyntheticCT import SyntheticCTLogic
    from SyntheticCTEval import SyntheticCTEvalLogic

    sct = SyntheticCTLogic().startGenerate(mr, model).wait().sct
    candidates = {"sCT": sct, **({"MRCAT": mrcat} if mrcat is not None else {})}
    logic = SyntheticCTEvalLogic()
    job = logic.startEvaluation(
        ct, candidates, mrNode=mr, structuresNode=structures, settings=settings
    )
    evaluation, nodes = job.wait()
    logic.exportResults(nodes.metrics, folder)
    write_volume(image_from_node(sct), Path(folder) / "sct.nrrd")
    return evaluation


def main(arguments: list[str]) -> int:
    """Load the files, run, and print the figures; return the exit code."""
    from SyntheticCTLib.basics.errors import SyntheticCTError

    parser = argparse.ArgumentParser(prog="batch.py", description=__doc__.split("\n")[0])
    for name in ("mr", "ct", "folder"):
        parser.add_argument(name, metavar=name.upper())
    for name in ("mrcat", "structures"):
        parser.add_argument(f"--{name}", metavar="FILE")
    parser.add_argument("--model", default="demo", metavar="BUNDLE")
    asked = parser.parse_args(arguments)
    load, outline = slicer.util.loadVolume, slicer.util.loadSegmentation
    try:
        evaluation = process(
            load(asked.mr),
            load(asked.ct),
            asked.folder,
            mrcat=load(asked.mrcat) if asked.mrcat else None,
            structures=outline(asked.structures) if asked.structures else None,
            model=asked.model,
        )
    except (SyntheticCTError, RuntimeError) as error:  # RuntimeError: Slicer cannot load a file
        print(error, file=sys.stderr)
        return 2
    for name, candidate in evaluation.candidates.items():
        figures = candidate.metrics
        print(f"{name}: MAE in the body {figures['mae_body']:.1f} HU, gamma {figures['gpr']}")
    return 0


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except SystemExit as end:  # of the parser
        code = end.code
    except Exception as error:  # Slicer without a window would run on
        print(error, file=sys.stderr)
        code = 1
    slicer.util.exit(code)
