"""The logic of the module SyntheticCTEval: what its panel and scripts call."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic


class SyntheticCTEvalLogic(ScriptedLoadableModuleLogic):
    """Nodes in, nodes out; all computing is done by SyntheticCTEvalLib.

    Everything that a click in the panel does is one of these methods. Parent transforms of the
    inputs are applied. Every method raises SyntheticCTLib.errors.SyntheticCTError with one
    sentence for the user, and then has changed no node.
    """

    COHORT_REPORT = "report.html"

    def getParameterNode(self) -> Any:
        """Return the panel's settings (SyntheticCTEvalMRML.parameters)."""
        from SyntheticCTEvalMRML.parameters import SyntheticCTEvalParameterNode

        return SyntheticCTEvalParameterNode(super().getParameterNode())

    def guessInputs(self, parameterNode: Any) -> None:
        """Choose inputs by names and marks of the nodes, as long as no CT is chosen."""
        from SyntheticCTEvalMRML.guess import guess_inputs

        if parameterNode.ct is None and not parameterNode.candidateNames:
            guess_inputs(slicer.mrmlScene, parameterNode)

    def startEvaluation(
        self,
        ctNode: Any,
        candidates: dict[str, Any],
        *,
        doseNode: Any = None,
        candidateDoses: dict[str, Any] | None = None,
        doseUnit: str | None = None,
        structuresNode: Any = None,
        regionNode: Any = None,
        mrNode: Any = None,
        planPath: str = "",
        settings: Any = None,
        limits: str = "",
        patient: str = "",
        show: Any = None,
        listener: Any = None,
    ) -> Any:
        """Hold candidates against the true CT in a child process; Slicer goes on meanwhile.

        In a script, ``evaluation, nodes = logic.startEvaluation(...).wait()``.

        :param ctNode: true CT in HU, scalar volume node.
        :param candidates: scalar volume nodes in HU by name (synthetic CT, MRCAT, ...).
        :param doseNode: dose on the true CT; without it dose is recalculated, by
          ``settings.dose_engine``: "pencil-beam", which needs PyTorch, or "montecarlo".
        :param candidateDoses: doses by candidate name, where ``doseNode`` is given.
        :param doseUnit: "Gy" or "cGy", of doses that SlicerRT has not loaded; those are in Gy.
          With None others are taken for Gy, too, and refused where that cannot be.
        :param structuresNode: segmentation node; one of its segments is the target.
        :param regionNode: label map or volume; voxels that are 0 are left out of every figure.
        :param mrNode: MR to be shown in the report; it carries the candidates onto the CT where
          ``settings.registration_by`` is "mr".
        :param planPath: RTPLAN file of photon beams that was made on the CT, whose dose is
          recalculated; without it, that of ``settings.planning`` is made on the CT, or seven fields
          are shaped to the target. Monte Carlo needs a plan, and stops at
          ``settings.dose_noise_percent`` or after ``settings.dose_minutes``.
        :param settings: SyntheticCTEvalLib.evaluation.EvaluationSettings.
        :param limits: acceptance file, or "tg218" or "korsholm2014", that candidates are held
          against.
        :param patient: the patient's pseudonym, for the report.
        :param show: function that says at the end whether the slice views are to show the result;
          None for yes.
        :param listener: SyntheticCTMRML.jobs.JobListener that is told about progress and end.
        :return: SyntheticCTMRML.jobs.Job, started; its result is
          SyntheticCTEvalLib.results.Evaluation with all figures and
          SyntheticCTEvalMRML.evaluation_nodes.EvaluationNodes with the nodes that show them.
        """
        from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
        from SyntheticCTMRML.packages import require

        from SyntheticCTEvalMRML.evaluation_job import EvaluationInputs, evaluation_job

        settings = settings or EvaluationSettings()
        inputs = EvaluationInputs(
            ct=ctNode,
            candidates=candidates,
            dose_ct=doseNode,
            doses=candidateDoses or {},
            dose_unit=doseUnit,
            structures=structuresNode,
            region=regionNode,
            mr=mrNode,
            plan=planPath,
            limits=limits,
            patient=patient,
            show=show or (lambda: True),
        )
        job = evaluation_job(slicer.mrmlScene, inputs, settings, listener)
        require(*settings.purposes(imported=doseNode is not None))
        job.start()
        for warning in inputs.other_patients():
            job.warn(warning)
        return job

    def startReadRtFiles(self, paths: list[str], ctNode: Any, listener: Any = None) -> Any:
        """Start reading RTDOSE, RTSTRUCT and RTPLAN files, which needs no SlicerRT.

        :param paths: the files.
        :param ctNode: the CT that the structures were drawn on.
        :param listener: SyntheticCTMRML.jobs.JobListener.
        :return: SyntheticCTMRML.jobs.Job, started; its result is
          SyntheticCTEvalMRML.rt_files.RtFiles with the nodes that were made.
        """
        from SyntheticCTEvalMRML.rt_files import rt_files_job

        return rt_files_job(paths, ctNode, listener).start()

    def startCohort(
        self,
        manifestPath: str,
        outputFolder: str,
        *,
        modelPath: str | None = None,
        registration: str = "deformable",
        registrationBy: str = "candidate",
        dose: bool = True,
        doseEngine: str = "pencil-beam",
        doseNoise: float = 0.15,
        doseMinutes: float = 15.0,
        listener: Any = None,
    ) -> Any:
        """Evaluate all patients of a manifest in a child process (``synthetic-ct cohort``).

        :param manifestPath: CSV file with a line a patient.
        :param outputFolder: for reports, tables and maps; what is there is not computed again.
        :param modelPath: folder of a model that makes the synthetic CT of every MR.
        :param registration: "none" where the candidates already lie on the CTs, "rigid" or
          "deformable".
        :param registrationBy: "candidate", or "mr" for one transform a patient, found between MR
          and CT.
        :param dose: False for images only; doses that the manifest lacks are recalculated.
        :param doseEngine: what recalculates them: "pencil-beam", or "montecarlo" of the plans in
          the manifest, which stops at ``doseNoise`` percent or after ``doseMinutes`` a patient.
        :param listener: SyntheticCTMRML.jobs.JobListener.
        :return: SyntheticCTMRML.jobs.Job, started.
        """
        from SyntheticCTLib.basics.manifest import manifest_columns
        from SyntheticCTMRML.child_process import CommandLine
        from SyntheticCTMRML.jobs import Job
        from SyntheticCTMRML.packages import require

        imported = "dose_ct" in manifest_columns(manifestPath, ("dose_ct",))
        purposes = {
            "cohort": True,
            "generation": bool(modelPath),
            "recalculation": dose and not imported,
            "montecarlo": dose and not imported and doseEngine == "montecarlo",
        }
        arguments = ["cohort", manifestPath, "--output", outputFolder]
        arguments += ["--model", modelPath] if modelPath else []
        arguments += ["--registration", registration, "--registration-by", registrationBy]
        arguments += [] if dose else ["--no-dose"]
        arguments += ["--dose-engine", doseEngine]
        if doseEngine == "montecarlo":
            arguments += ["--dose-noise", repr(doseNoise), "--dose-minutes", repr(doseMinutes)]
        job = Job([CommandLine(arguments)], listener)
        require(*[purpose for purpose, needed in purposes.items() if needed])
        return job.start()

    def evaluations(self) -> list[Any]:
        """Return the evaluations in the scene: their metrics tables (vtkMRMLTableNode)."""
        from SyntheticCTEvalMRML.evaluation_nodes import evaluations_in

        return evaluations_in(slicer.mrmlScene)

    def evaluationNodes(self, evaluationNode: Any) -> Any:
        """Return all nodes of an evaluation (EvaluationNodes); None where it is none."""
        from SyntheticCTEvalMRML.evaluation_nodes import EvaluationNodes

        return EvaluationNodes.of(evaluationNode)

    def removeEvaluation(self, evaluationNode: Any) -> None:
        """Remove an evaluation and all that was made for it; its inputs stay."""
        from SyntheticCTMRML.hierarchy import remove
        from SyntheticCTMRML.nodes import RESULT

        from SyntheticCTEvalMRML.display import FOLDER

        nodes = self.evaluationNodes(evaluationNode)
        if nodes is not None:
            made = [one for one in nodes.made([]) if one.GetAttribute(RESULT) == FOLDER]
            remove(slicer.mrmlScene, made)

    def summary(self, evaluationNode: Any) -> str:
        """Return pass rates, mean absolute errors and warnings of an evaluation as rich text."""
        from SyntheticCTEvalMRML.summary import summary

        return summary(self.evaluationNodes(evaluationNode))

    def warnings(self, evaluationNode: Any) -> list[str]:
        """Return the warnings of an evaluation."""
        from SyntheticCTEvalMRML.summary import notes

        nodes = self.evaluationNodes(evaluationNode)
        return notes(nodes) if nodes is not None else []

    def structureNames(self, evaluationNode: Any) -> list[str]:
        """Return the structures that have a dose-volume histogram."""
        from SyntheticCTEvalMRML.plots import structures_in

        nodes = self.evaluationNodes(evaluationNode)
        return structures_in(nodes.dvh_series) if nodes is not None else []

    def showOverlay(
        self,
        evaluationNode: Any,
        candidate: str = "",
        overlay: str = "gamma",
        gammaView: str = "twice",
        opacity: float = 0.5,
        threshold: float = 0.0,
    ) -> Any:
        """Lay a map over the true CT in the slice views and return its volume node.

        :param candidate: its name; the first one when empty.
        :param overlay: "gamma", "difference", "dose_difference", "dose", "candidate" or "none".
        :param gammaView: "twice" (0 to 2, a step at 1), "one" (0 to 1) or "pass" (pass and fail).
        :param opacity: from 0 to 1.
        :param threshold: lower gamma is not shown.
        """
        from SyntheticCTMRML.views import one_drawing

        from SyntheticCTEvalMRML.review import Overlay, show_overlay

        nodes = self.evaluationNodes(evaluationNode)
        if nodes is None:
            return None
        asked = Overlay(candidate, overlay, gammaView, opacity, threshold)
        with one_drawing():
            return show_overlay(slicer.mrmlScene, nodes, asked)

    def showChart(self, evaluationNode: Any, chart: str = "histogram", structure: str = "") -> None:
        """Show a chart in the plot views.

        :param chart: "histogram" of gamma, or "dvh" (dose-volume histograms).
        :param structure: whose histograms are shown; those of all structures when empty.
        """
        from SyntheticCTEvalMRML.review import show_chart, show_dvh

        nodes = self.evaluationNodes(evaluationNode)
        if nodes is not None and chart == "dvh" and nodes.dvh is not None:
            show_dvh(slicer.mrmlScene, nodes, structure)
        elif nodes is not None:
            show_chart(slicer.mrmlScene, nodes.histogram)

    def showLayout(self, evaluationNode: Any, layout: str = "chart") -> None:
        """Arrange the views; nothing happens where Slicer has no main window.

        :param layout: "chart", "table" (slices, chart and figures) or "side by side" (true CT and
          the first three candidates in columns, linked; :meth:`showOverlay` lays maps over them).
        """
        from SyntheticCTMRML.views import (
            fit_slices,
            one_drawing,
            show_structures_of,
            slice_place,
        )

        from SyntheticCTEvalMRML.review import arrange

        nodes = self.evaluationNodes(evaluationNode)
        arrangement = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        if nodes is None or arrangement is None:
            return
        place, before = slice_place(slicer.mrmlScene), arrangement.GetViewArrangement()
        with one_drawing():
            arrange(slicer.mrmlScene, nodes, layout)
            shown = (nodes.ct, *nodes.candidates.values())
            volume = next((one for one in shown if one is not None), None)
            new = arrangement.GetViewArrangement() != before
            if volume is not None:
                show_structures_of(volume)
            fit_slices(volume, place, new_views=new)

    def hotSpots(self, evaluationNode: Any, candidate: str) -> list[Any]:
        """Return a candidate's hot spots (HotSpot), the worst first."""
        nodes = self.evaluationNodes(evaluationNode)
        return nodes.spots_of(candidate) if nodes is not None else []

    def showHotSpot(self, evaluationNode: Any, candidate: str, rank: int = 1) -> Any:
        """Move the slice views to a candidate's hot spot and return it (HotSpot).

        :param rank: 1 for the worst.
        """
        from SyntheticCTMRML.views import one_drawing

        from SyntheticCTEvalMRML.review import go_to

        spot = self.hotSpots(evaluationNode, candidate)[rank - 1]
        with one_drawing():
            go_to(slicer.mrmlScene, spot)
        return spot

    def exportResults(
        self,
        evaluationNode: Any,
        folder: str,
        *,
        report: bool = True,
        tables: bool = True,
        scene: bool = True,
    ) -> list[Any]:
        """Write an evaluation into a folder and return the paths of the files.

        Files of an earlier export are replaced, files that the scene was loaded from never.

        :param report: write report.html and report.pdf.
        :param tables: write metrics.csv, dvh.csv and metrics.json, and of a plan that was made
          plan.dcm (RTPLAN) and plan.json.
        :param scene: write evaluation.mrb, with everything in the scene.
        """
        from SyntheticCTEvalMRML.export import export

        wanted = {"report.html": report, "report.pdf": report}
        wanted |= {"metrics.csv": tables, "dvh.csv": tables}
        wanted |= {"plan.dcm": tables, "plan.json": tables}
        wanted |= {"metrics.json": tables, "evaluation.mrb": scene}
        names = [name for name, asked in wanted.items() if asked]
        return export(slicer.mrmlScene, self.evaluationNodes(evaluationNode), folder, names)

    def openReport(self, evaluationNode: Any) -> None:
        """Show an evaluation's report in the web browser."""
        from SyntheticCTMRML.temporary import session_folder

        from SyntheticCTEvalMRML.export import export

        nodes = self.evaluationNodes(evaluationNode)
        folder = str(session_folder() / evaluationNode.GetID())
        (path,) = export(slicer.mrmlScene, nodes, folder, ["report.html"])
        self.openFile(path)

    def openFile(self, path: Any) -> None:
        """Show a file in the program that the system has for it."""
        import qt

        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))

    def computeGamma(
        self,
        referenceNode: Any,
        evaluatedNode: Any,
        criteria: Any,
        outputNode: Any,
        maskNode: Any = None,
        doseUnit: str | None = None,
        engine: str = "exact",
        progress: Any = None,
    ) -> Any:
        """Compare two doses by gamma; the map goes to ``outputNode``, -1 where not evaluated.

        :param referenceNode: reference dose, scalar volume node.
        :param evaluatedNode: dose that is compared with it.
        :param criteria: SyntheticCTEvalLib.gamma.GammaCriteria; None for 1 %/1 mm, cutoff 10 %.
        :param outputNode: scalar volume node for the gamma map, on the reference grid.
        :param maskNode: label map or volume; only voxels that are not 0 are evaluated.
        :param doseUnit: "Gy" (None takes it for that, too; SlicerRT loads RTDOSE so) or "cGy".
        :param engine: "exact" or "pymedphys".
        :return: SyntheticCTEvalLib.gamma.GammaResult with the pass rates.
        """
        from SyntheticCTEvalMRML.dose_nodes import gamma_of_nodes

        doses = (referenceNode, evaluatedNode)
        return gamma_of_nodes(doses, criteria, outputNode, maskNode, doseUnit, engine, progress)

    def showGamma(self, ctNode: Any, gammaNode: Any, opacity: float = 0.5) -> None:
        """Lay a gamma map over a CT in every slice view."""
        from SyntheticCTMRML.display import set_slice_layers, show_ct, show_gamma

        show_ct(ctNode)
        show_gamma(gammaNode)
        set_slice_layers(ctNode.GetScene(), ctNode, gammaNode, opacity)
