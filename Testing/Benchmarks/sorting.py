"""What a second `synthetic-ct sort` costs against the first, over many small files, in one run.

    python Testing/Benchmarks/sorting.py [--files N] [--patients N]

Prints the wall time of both, of a third after 100 new files, and the ratio of first to second.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import pydicom
from SyntheticCTLib.archive.sorting import sort_folder

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from archives import CT, Patient


def copies(template: Path, folder: Path, count: int, patient: int, first: int = 0) -> None:
    """Write slices of one patient, 100 a series, that differ in UIDs and positions only."""
    header = pydicom.dcmread(template)
    header.PatientID, header.PatientName = f"ID{patient:05}", f"Name{patient:05}"
    header.StudyInstanceUID = f"1.2.3.{patient}"
    for number in range(first, first + count):
        series, k = divmod(number, 100)
        header.SeriesInstanceUID = f"1.2.3.{patient}.{series}"
        header.SOPInstanceUID = f"1.2.3.{patient}.{series}.{k}"
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.ImagePositionPatient = [0, 0, 3 * k]
        place = folder / f"{patient:05}" / f"{series:03}"
        place.mkdir(parents=True, exist_ok=True)
        header.save_as(place / f"IM{k:04}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--patients", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, index = Path(place) / "in", Path(place) / "index.jsonl"
        template = Patient().image(Path(place) / "template", CT)[0]
        each = options.files // options.patients
        for patient in range(options.patients):
            copies(template, folder, each, patient)
        times = []
        for run in range(3):
            if run == 2:
                copies(template, folder, 100, 0, first=each)
            start = time.perf_counter()
            result = sort_folder(folder, index)
            times.append(time.perf_counter() - start)
            print(f"run {run + 1}: {result.scan.read} files read, {times[-1]:.2f} s")
        print(f"index {index.stat().st_size / 1e6:.1f} MB")
        print(f"first run / second run: {times[0] / times[1]:.1f}")


if __name__ == "__main__":
    main()
