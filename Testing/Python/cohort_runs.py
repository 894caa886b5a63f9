"""A cohort that is run in this process, and what it tells."""

from __future__ import annotations

from SyntheticCTEvalLib.cohort.run import run_cohort
from SyntheticCTLib.basics.progress import Progress

HEADER = "patient,ct,mr,prescription_gy,candidate_MRCAT,candidate_sCT"


class Recorder(Progress):
    def __init__(self):
        self.states, self.warnings = [], []

    def report(self, step, fraction, **details):
        if step == "Patients" and "patient" in details:
            self.states.append((details["patient"], details["state"]))

    def warn(self, message):
        self.warnings.append(message)


def run(manifest, evaluated, *, settings=None, **options) -> list[str]:
    """Run the cohort in this process; returns the patients that were evaluated."""
    evaluated.clear()
    run_cohort(manifest, manifest.parents[1] / "out", settings, workers=1, **options)
    return list(evaluated)
