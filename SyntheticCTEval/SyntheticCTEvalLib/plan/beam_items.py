"""One beam of an RTPLAN: its devices, and control points that inherit from those before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import Progress

from .beams import Beam, ControlPoint, MultiLeafCollimator
from .deliverable import require_deliverable_beam

if TYPE_CHECKING:
    import pydicom

_JAWS = {"X": "X", "ASYMX": "X", "Y": "Y", "ASYMY": "Y"}
_LEAVES = {"MLCX": "X", "MLCY": "Y"}
_IN_THE_BEAM = (  # sequence, count, what it is in sentences
    ("WedgeSequence", "NumberOfWedges", "a wedge"),
    ("CompensatorSequence", "NumberOfCompensators", "a compensator"),
    ("BlockSequence", "NumberOfBlocks", "a block"),
    ("ReferencedBolusSequence", "NumberOfBoli", "a bolus"),
    ("ApplicatorSequence", None, "an applicator"),
    ("GeneralAccessorySequence", None, "an accessory"),
)
_HARMLESS = ("GRATICULE", "RETICLE", "IMAGE_DETECTOR")
"""Accessories that do not change the beam in the patient."""
_LEVEL = (  # angles that are not followed, and must be 0
    "GantryPitchAngle",
    "TableTopPitchAngle",
    "TableTopRollAngle",
    "TableTopEccentricAngle",
)
_EXPORT = "export the plan again from the planning system."
_SAME_MM = 1e-3


def number_of(item: pydicom.Dataset, name: str) -> float | None:
    """Return a finite number of an element; None where it is missing, empty or no number."""
    values = numbers_of(item, name)
    return values[0] if values is not None and len(values) == 1 else None


def numbers_of(item: pydicom.Dataset, name: str) -> list[float] | None:
    """Return all finite numbers of an element; None where it is missing, empty or not of them."""
    value = item.get(name)
    if value is None or str(value) == "":
        return None
    try:
        values = [float(one) for one in np.atleast_1d(np.asarray(value, dtype=float))]
    except (TypeError, ValueError):
        return None
    return values if values and all(map(math.isfinite, values)) else None


def beam_of(
    item: pydicom.Dataset,
    meterset_mu: float,
    fractions: int,
    group: int,
    plan: str,
    progress: Progress,
) -> Beam:
    """Return a beam of a plan's BeamSequence.

    Args:
        meterset_mu: of one fraction.
        plan: the plan in sentences.

    Raises:
        SyntheticCTError: its radiation, what is in the beam or its control points are not such as
            can be calculated.
    """
    number = int(item.BeamNumber)
    name = str(item.get("BeamName") or "").strip() or "without name"
    what = f"beam {number} ({name}) of the {plan}"
    _require_plain_photons(item, what)
    axes, mlc = _devices(item, what)
    points, energy, isocentre = _control_points(item, axes, mlc, what)
    distance = number_of(item, "SourceAxisDistance")
    if distance is None:
        progress.warn(f"The {what} does not tell its source-axis distance: 1000 mm is assumed.")
    modes = [str(m.get("FluenceMode") or "") for m in item.get("PrimaryFluenceModeSequence") or ()]
    beam = Beam(
        number=number,
        name=name,
        isocentre_mm=isocentre,
        control_points=points,
        meterset_mu=meterset_mu,
        energy_mv=energy,
        mlc=mlc,
        source_axis_mm=1000.0 if distance is None else distance,
        fractions=fractions,
        fraction_group=group,
        flattened="NON_STANDARD" not in modes,
        machine=str(item.get("TreatmentMachineName") or ""),
    )
    require_deliverable_beam(beam, what)
    return beam


def _require_plain_photons(item: pydicom.Dataset, what: str) -> None:
    radiation = str(item.get("RadiationType") or "").strip()
    if radiation != "PHOTON":
        told = f"is of {radiation.lower()}s" if radiation else "does not say its radiation"
        raise SyntheticCTError(
            f"The {what} {told}, and only photon beams are calculated: give a photon plan, or "
            "import its dose."
        )
    unit = str(item.get("PrimaryDosimeterUnit") or "MU")
    if unit != "MU":
        raise SyntheticCTError(
            f"The meterset of the {what} is in {unit}, and only monitor units are calculated: give "
            "a linac's plan, or import its dose."
        )
    for sequence, count, kind in _IN_THE_BEAM:
        there = item.get(sequence) or ()
        if kind == "an accessory":
            there = [a for a in there if a.get("GeneralAccessoryType") not in _HARMLESS]
        if kind == "a wedge" and there and _always_out(item, len(there)):
            continue
        if len(there) or (count and (number_of(item, count) or 0) > 0):
            raise SyntheticCTError(
                f"The {what} passes {kind}, which is not calculated: give a plan without it, or "
                "import its dose."
            )


def _always_out(item: pydicom.Dataset, wedges: int) -> bool:
    """Whether the first control point tells that every wedge is out, and none comes in."""
    points = item.get("ControlPointSequence") or ()
    states = [
        [str(one.get("WedgePosition") or "") for one in point.get("WedgePositionSequence") or ()]
        for point in points
    ]
    told = [state for every in states for state in every]
    return bool(states) and len(states[0]) == wedges and all(state == "OUT" for state in told)


def _devices(item: pydicom.Dataset, what: str) -> tuple[dict[str, str], MultiLeafCollimator | None]:
    """The axis of every beam limiting device by its type, and the MLC."""
    axes: dict[str, str] = {}
    mlc = None
    for device in item.get("BeamLimitingDeviceSequence") or ():
        kind = str(device.get("RTBeamLimitingDeviceType") or "")
        pairs = number_of(device, "NumberOfLeafJawPairs")
        if kind not in {**_JAWS, **_LEAVES}:
            raise SyntheticCTError(
                f"The {what} is limited by a device that is not known ({kind or 'without type'}): "
                "known are X, Y, ASYMX, ASYMY, MLCX and MLCY."
            )
        if kind in _JAWS and _JAWS[kind] in [_JAWS.get(k) for k in axes]:
            raise SyntheticCTError(f"The {what} has two pairs of {_JAWS[kind]} jaws: {_EXPORT}")
        if kind in _LEAVES:
            if mlc is not None:
                raise SyntheticCTError(
                    f"The {what} has two multi-leaf collimators, and one is calculated: give a "
                    "plan of a machine with one."
                )
            boundaries = numbers_of(device, "LeafPositionBoundaries") or []
            if pairs is None or len(boundaries) != int(pairs) + 1:
                told = "?" if pairs is None else int(pairs)
                raise SyntheticCTError(
                    f"The MLC of the {what} has {told} pairs of leaves and {len(boundaries)} leaf "
                    f"boundaries, where there must be one more: {_EXPORT}"
                )
            mlc = MultiLeafCollimator(_LEAVES[kind], tuple(boundaries))
        axes[kind] = {**_JAWS, **_LEAVES}[kind]
    return axes, mlc


def _control_points(
    item: pydicom.Dataset, axes: dict[str, str], mlc: MultiLeafCollimator | None, what: str
) -> tuple[tuple[ControlPoint, ...], float, tuple[float, float, float]]:
    """Control points, energy in MV and isocentre."""
    items = list(item.get("ControlPointSequence") or ())
    told = number_of(item, "NumberOfControlPoints")
    if told is not None and int(told) != len(items):
        raise SyntheticCTError(
            f"The {what} says that it has {int(told)} control points, and holds {len(items)}: "
            "copy or export the plan again."
        )
    final = number_of(item, "FinalCumulativeMetersetWeight")
    if not final or final < 0:
        raise SyntheticCTError(
            f"The {what} tells no final meterset weight, so that its control points have no "
            f"share of the dose: {_EXPORT}"
        )
    state: dict[str, Any] = {}
    points = []
    for index, point in enumerate(items):
        where = f"control point {index} of the {what}"
        if number_of(point, "ControlPointIndex") != index:
            raise SyntheticCTError(f"The control points of the {what} are not in order: {_EXPORT}")
        _update(state, point, axes, where)
        weight = number_of(point, "CumulativeMetersetWeight")
        if weight is None:
            raise SyntheticCTError(f"There is no meterset weight at {where}: {_EXPORT}")
        points.append(_point(state, weight / final, axes, mlc))
    if not points:
        raise SyntheticCTError(f"The {what} has no control points: {_EXPORT}")
    return tuple(points), state["NominalBeamEnergy"], tuple(state["IsocenterPosition"])


def _update(
    state: dict[str, Any], point: pydicom.Dataset, axes: dict[str, str], where: str
) -> None:
    """Take over what a control point tells; what must not change is checked."""
    for name in (
        "NominalBeamEnergy",
        "GantryAngle",
        "BeamLimitingDeviceAngle",
        "PatientSupportAngle",
        *_LEVEL,
    ):
        value = number_of(point, name)
        if value is None:
            continue
        if name == "NominalBeamEnergy" and state.get(name, value) != value:
            raise SyntheticCTError(f"The energy changes at {where}, which is not calculated.")
        if name in _LEVEL and abs((value + 180) % 360 - 180) > 1e-3:
            raise SyntheticCTError(
                f"The {name} is {value:g} degrees at {where}, and such tilts are not calculated: "
                "give a plan without them."
            )
        state[name] = value
    direction = str(point.get("GantryRotationDirection") or "")
    if direction:
        state["GantryRotationDirection"] = direction
    isocentre = numbers_of(point, "IsocenterPosition")
    if isocentre is not None and len(isocentre) == 3:
        before = state.get("IsocenterPosition", isocentre)
        if np.abs(np.subtract(before, isocentre)).max() > _SAME_MM:
            raise SyntheticCTError(
                f"The isocentre moves at {where}, and a beam has one: give a plan whose beams "
                "keep their isocentre."
            )
        state["IsocenterPosition"] = isocentre
    for device in point.get("BeamLimitingDevicePositionSequence") or ():
        kind = str(device.get("RTBeamLimitingDeviceType") or "")
        positions = numbers_of(device, "LeafJawPositions")
        if kind not in axes or positions is None or (kind in _JAWS and len(positions) != 2):
            raise SyntheticCTError(
                f"The positions of a device ({kind or 'without type'}) at {where} are not such as "
                f"its beam has: {_EXPORT}"
            )
        state[kind] = positions
    needed = {
        "NominalBeamEnergy": "nominal energy",
        "GantryAngle": "gantry angle",
        "IsocenterPosition": "isocentre",
        **{kind: f"position of the device {kind}" for kind in axes},
    }
    for name, told in needed.items():
        if name not in state:
            raise SyntheticCTError(f"There is no {told} at {where}: {_EXPORT}")


def _point(
    state: dict[str, Any], weight: float, axes: dict[str, str], mlc: MultiLeafCollimator | None
) -> ControlPoint:
    jaws: dict[str, tuple[float, float]] = {}
    leaves = None
    for kind, axis in axes.items():
        if kind in _JAWS:
            jaws[axis] = tuple(state[kind])
        elif mlc is not None:
            leaves = np.array(state[kind])
            if leaves.size == 2 * mlc.pairs:
                leaves = leaves.reshape(2, mlc.pairs).T
    return ControlPoint(
        meterset_weight=weight,
        gantry_deg=state["GantryAngle"] % 360,
        gantry_direction=state.get("GantryRotationDirection", "NONE"),
        collimator_deg=state.get("BeamLimitingDeviceAngle", 0.0) % 360,
        couch_deg=state.get("PatientSupportAngle", 0.0) % 360,
        jaws_x_mm=jaws.get("X"),
        jaws_y_mm=jaws.get("Y"),
        leaves_mm=leaves,
    )
