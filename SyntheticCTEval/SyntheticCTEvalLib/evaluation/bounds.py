"""What figures and limits do not show, each in one line, for where a report is read first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.bundle.folder import demo_bundle_folder, read_card

from SyntheticCTEvalLib.dose.doses import is_imported
from SyntheticCTEvalLib.placement.ways import DEFORMABLE, EACH, RIGID
from SyntheticCTEvalLib.structures.target import is_target_name

from .limits import TARGET, Acceptance, Limit, Verdict
from .names import shown_names
from .quantities import OF_NOISE
from .results import Evaluation

BOUNDS = "What these figures do not show"
_MODEL_KEY = "SyntheticCTModel"
_OF_DOSE = ("gpr", *OF_NOISE, "gpr_criteria", "gpr_structures", "dvh")


def bounds_of(evaluation: Evaluation) -> list[str]:
    """Return what bounds the figures: the model, the dose's source, the registration."""
    found = [_of_model(evaluation)]
    definition = evaluation.definitions.get("dose", "")
    if evaluation.dose_ct is not None and definition and not is_imported(definition):
        own = "Monte Carlo" if definition.startswith("Monte Carlo") else "pencil beam"
        found.append(
            f"The dose is this program's own {own} on every image, not a treatment planning "
            "system's: its figures commission nothing."
        )
    found.append(_of_registration(evaluation))
    return [sentence for sentence in found if sentence]


def _of_model(evaluation: Evaluation) -> str:
    """What a model that knows digital patients alone has made."""
    origin = evaluation.origin
    model, inputs = origin.get("model") or {}, origin.get("inputs", {})
    demo = _demo_sha256()
    of_phantom = {demo, model["sha256"] if model.get("phantom") else ""} - {""}
    marks = {
        name: inputs.get(f"candidate {name}", {}).get("model_sha256") or _mark(candidate.volume)
        for name, candidate in evaluation.candidates.items()
    }
    shown = shown_names(evaluation)
    names = [shown[name] for name, mark in marks.items() if mark in of_phantom]
    shas = {mark for mark in marks.values() if mark in of_phantom}
    if not names and model.get("sha256") not in of_phantom:
        return ""
    by = "the demo model" if (shas or {model.get("sha256")}) == {demo} else "a model"
    learned = "trained on digital patients alone"
    if not names:
        return f"The model is {by}, {learned}: figures of what it makes commission nothing."
    was, its = ("was", "its") if len(names) == 1 else ("were", "their")
    return f"{' and '.join(names)} {was} made by {by}, {learned}: {its} figures commission nothing."


def _of_registration(evaluation: Evaluation) -> str:
    way, by = (evaluation.registration.get(key) for key in ("way", "by"))
    if by != EACH or not evaluation.candidates:
        return ""
    if way == DEFORMABLE:
        return (
            "Each candidate was bent onto the true CT by itself, and its own errors with it, which "
            "flatters it; registration by the MR (--registration-by mr) avoids that."
        )
    if way == RIGID:
        return (
            "Each candidate was moved onto the true CT by itself: a shift of it as a whole does "
            "not show; registration by the MR (--registration-by mr) keeps it."
        )
    return ""


def scope_of(
    acceptance: Acceptance, verdicts: Mapping[str, Sequence[Verdict]], target: str | None
) -> str:
    """Return in a few words what limits say nothing of: organs at risk, or dose; "" else."""
    limits = [limit for limit in acceptance.limits if limit.path()[0] in _OF_DOSE]
    if not limits:
        return "no limit concerns dose: they say nothing of it"
    of_structures = [limit for limit in limits if limit.structure]
    if any(not _is_of_target(limit, verdicts, target) for limit in of_structures):
        return ""
    whole = len(of_structures) < len(limits)
    if not of_structures:
        return "of dose, pass rates as a whole alone: they say nothing of organs at risk"
    also = " and pass rates as a whole" if whole else ""
    return f"of dose, the target{also} alone: they say nothing of organs at risk"


def _is_of_target(
    limit: Limit, verdicts: Mapping[str, Sequence[Verdict]], target: str | None
) -> bool:
    """Whether every structure that a limit was held against is a target."""
    if limit.structure.casefold() == TARGET:
        return True
    names = {v.path[1] for found in verdicts.values() for v in found if v.limit == limit}
    return all(
        name == target or is_target_name(name.strip("*?")) for name in names or {limit.structure}
    )


def _mark(volume: sitk.Image) -> str:
    return volume.GetMetaData(_MODEL_KEY) if volume.HasMetaDataKey(_MODEL_KEY) else ""


def _demo_sha256() -> str:
    try:
        return read_card(demo_bundle_folder()).sha256
    except SyntheticCTError:  # installed without it
        return ""
