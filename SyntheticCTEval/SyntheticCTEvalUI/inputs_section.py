"""The part of the panel that says what is evaluated, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _
from SyntheticCTEvalMRML.parameters import (
    DoseEngine,
    DoseSource,
    DoseUnit,
    Normalization,
    Preset,
    RegistrationBy,
    alive,
    candidates_of,
)
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTMRML.roles import role_fault

from .candidates_table import CandidatesTable


class InputsSection:
    """Inputs, dose and gamma criterion.

    Args:
        ui: the panel's widgets by name.
        parameters: returns the panel's parameter node, None where it has none at the moment.
    """

    def __init__(self, ui: Any, parameters: Callable[[], Any]) -> None:
        self._ui, self._parameters = ui, parameters
        self.candidates = CandidatesTable(ui.candidatesTable, parameters)
        self._segments: list[str] | None = None
        ui.addCandidateButton.connect("clicked()", self._onAdd)
        ui.removeCandidateButton.connect("clicked()", self._onRemove)
        ui.targetComboBox.connect("activated(int)", self._onTarget)

    def update(self) -> None:
        """Show what the parameter node says and enable what has a meaning now."""
        parameters, ui = self._parameters(), self._ui
        imported = parameters.doseSource is DoseSource.IMPORTED
        self.candidates.update(withDoses=imported)
        ui.removeCandidateButton.enabled = bool(candidates_of(parameters))
        ui.referenceDoseSelector.enabled = ui.doseUnitComboBox.enabled = imported
        recalculated = parameters.doseSource is DoseSource.RECALCULATED
        ui.planPath.enabled = ui.doseEngineComboBox.enabled = recalculated
        ui.planLevelsLineEdit.enabled = recalculated and not parameters.plan
        ui.overridesLineEdit.enabled = ui.couchLineEdit.enabled = recalculated
        montecarlo = (recalculated and parameters.doseEngine is DoseEngine.MONTE_CARLO) or (
            parameters.cohortEngine is DoseEngine.MONTE_CARLO and not parameters.cohortImagesOnly
        )
        ui.doseNoiseSpinBox.enabled = ui.doseMinutesSpinBox.enabled = montecarlo
        with_dose = parameters.doseSource is not DoseSource.NONE
        ui.prescriptionSpinBox.enabled = with_dose
        without = imported and alive(parameters.referenceDose) is None
        ui.doseNoteLabel.visible = without
        ui.criteriaCollapsibleButton.enabled = with_dose
        custom = parameters.preset is Preset.CUSTOM
        ui.dosePercentSpinBox.enabled = ui.distanceSpinBox.enabled = custom
        if not custom and parameters.preset.value != (parameters.dosePercent, parameters.distance):
            parameters.dosePercent, parameters.distance = parameters.preset.value
        self._updateTargets()

    def whatIsMissing(self) -> str:
        """Return what has to be chosen before an evaluation can start; empty when it can."""
        parameters = self._parameters()
        if parameters is None or alive(parameters.ct) is None:
            return _("Choose the true CT")
        if not any(volume is not None for _name, volume, _dose in candidates_of(parameters)):
            return _("Add a candidate and choose its volume")
        if fault := role_fault(alive(parameters.mr), alive(parameters.ct)):
            return fault
        if parameters.registrationBy is RegistrationBy.MR and alive(parameters.mr) is None:
            return _("Choose the MR, or register each candidate by itself")
        recalculated = parameters.doseSource is DoseSource.RECALCULATED
        made = recalculated and not parameters.plan and parameters.planLevels.strip(" ;")
        if made and alive(parameters.structures) is None:
            return _("Choose the structures that a plan is made for")
        laid = recalculated and (parameters.overrides + parameters.couch).strip(" ;")
        if laid and alive(parameters.structures) is None:
            return _("Choose the structures whose CT numbers are given")
        planned = parameters.plan or made
        if recalculated and parameters.doseEngine is DoseEngine.MONTE_CARLO and not planned:
            return _("Choose the plan whose dose Monte Carlo calculates, or the pencil beam")
        return ""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of SyntheticCTEvalLogic.startEvaluation.

        Raises:
            SyntheticCTError: rows that cannot be told apart, or cutoffs that are no numbers.
        """
        parameters = self._parameters()
        rows = [row for row in candidates_of(parameters) if row[1] is not None]
        names = [name for name, _volume, _dose in rows]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise SyntheticCTError(
                _("Two candidates are called {name}: give every one its own name.").format(
                    name=twice[0]
                )
            )
        imported = parameters.doseSource is DoseSource.IMPORTED
        recalculated = parameters.doseSource is DoseSource.RECALCULATED
        reference = alive(parameters.referenceDose) if imported else None
        doses = {name: dose for name, _volume, dose in rows if imported and dose is not None}
        return {
            "ctNode": alive(parameters.ct),
            "candidates": {name: volume for name, volume, _dose in rows},
            "doseNode": reference,
            "candidateDoses": doses,
            # Volumes that cannot be in Gy are then refused, instead of taken for it.
            "doseUnit": None if parameters.doseUnit is DoseUnit.GY else parameters.doseUnit.value,
            "structuresNode": alive(parameters.structures),
            "regionNode": alive(parameters.region),
            "mrNode": alive(parameters.mr),
            "planPath": parameters.plan if recalculated else "",
            "limits": parameters.limits.strip(),
            "patient": parameters.pseudonym.strip(),
            "settings": self._settings(withDose=not imported or bool(reference or doses)),
        }

    def _settings(self, withDose: bool) -> Any:
        from SyntheticCTEvalLib.dose.overrides import parse_overrides
        from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
        from SyntheticCTEvalLib.gamma.criteria import Criterion, parse_criteria, parse_percents
        from SyntheticCTEvalLib.planning.request import PlanRequest, parse_levels

        parameters = self._parameters()
        withDose = withDose and parameters.doseSource is not DoseSource.NONE
        structures = alive(parameters.structures)
        local = parameters.normalization is Normalization.LOCAL
        first = Criterion(parameters.dosePercent, parameters.distance, local)
        more = parameters.furtherCriteria
        further = parse_criteria(more) if more.strip(" ,;") else ()
        recalculated = parameters.doseSource is DoseSource.RECALCULATED
        wanted = "" if parameters.plan or not recalculated else parameters.planLevels.strip(" ;")
        return EvaluationSettings(
            prescription_gy=parameters.prescription or None,
            registration=parameters.registration.value,
            registration_by=parameters.registrationBy.value,
            dose=withDose,
            target=(parameters.target or None) if structures is not None else None,
            cutoffs_percent=parse_percents(parameters.cutoffs),
            criteria=(first, *further),
            gamma_cap=parameters.cap,
            gamma_engine=parameters.engine.value,
            planning=PlanRequest(parse_levels(wanted) if wanted else ()),
            dose_engine=parameters.doseEngine.value,
            dose_noise_percent=parameters.doseNoise,
            dose_minutes=parameters.doseMinutes,
            overrides=(
                *parse_overrides(parameters.overrides if recalculated else ""),
                *parse_overrides(parameters.couch if recalculated else "", couch=True),
            ),
            dvh_points=parameters.dvhPoints,
        )

    def _updateTargets(self) -> None:
        """Offer the segments of the chosen segmentation."""
        parameters, box = self._parameters(), self._ui.targetComboBox
        node = alive(parameters.structures)
        names = _segment_names(node)
        box.enabled = bool(names)
        if names != self._segments:
            self._segments = names
            box.clear()
            box.addItem(_("Found by its name (PTV, CTV, GTV, target)"))
            box.addItems(names)
        box.currentIndex = 1 + names.index(parameters.target) if parameters.target in names else 0

    def _onAdd(self) -> None:
        if self._parameters() is not None:
            self.candidates.add()

    def _onRemove(self) -> None:
        if self._parameters() is not None:
            self.candidates.remove()

    def _onTarget(self, index: int) -> None:
        if self._parameters() is not None:
            self._parameters().target = self._segments[index - 1] if index > 0 else ""


def _segment_names(node: Any) -> list[str]:
    if node is None:
        return []
    segmentation = node.GetSegmentation()
    count = segmentation.GetNumberOfSegments()
    return [segmentation.GetNthSegment(index).GetName() for index in range(count)]
