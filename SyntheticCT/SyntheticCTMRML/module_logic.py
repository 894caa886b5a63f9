"""The logic of the module SyntheticCT: what its panel and scripts call."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic


class SyntheticCTLogic(ScriptedLoadableModuleLogic):
    """Volume nodes in, volume nodes out; all computing is done by SyntheticCTLib.

    A result lies exactly where its input lies, with the input's parent transforms applied.
    Every method raises SyntheticCTLib.errors.SyntheticCTError with one sentence for the user,
    and then has changed no node.

    The start... methods return a running SyntheticCTMRML.jobs.Job, whose ``wait()`` returns
    SyntheticCTMRML.synthesis.Results with the nodes that were made; they work in a child
    process, and Slicer stays alive. ``bundlePath`` is the folder of a model, or "demo". An
    output node that is None is made anew. ``listener`` takes a
    SyntheticCTMRML.jobs.JobListener, which is told of progress, warnings and the end.

    The other methods work in Slicer's own process and block it; their ``progress`` takes a
    SyntheticCTLib.progress.Progress, without one warnings go to the log.
    """

    def getParameterNode(self) -> Any:
        """Return the settings of the panel, which are saved with the scene."""
        from SyntheticCTMRML.parameters import SyntheticCTParameterNode

        return SyntheticCTParameterNode(super().getParameterNode())

    def guessInputs(self, parameterNode: Any, node: Any = None) -> None:
        """Choose inputs by modality or name, where none is chosen.

        :param node: volume that has come; None looks at all of the scene, unless an MR is chosen.
        """
        from SyntheticCTMRML.roles import guess_role, guess_roles, of_one_patient

        if node is not None:
            chosen = [parameterNode.getValue(role) for role in ("mr", "ct", "mrcat")]
            roles = {guess_role(node): node} if of_one_patient(node, *chosen) else {}
        else:
            roles = guess_roles(slicer.mrmlScene) if parameterNode.mr is None else {}
        for role, volume in roles.items():
            if role and parameterNode.getValue(role) is None:
                parameterNode.setValue(role, volume)

    def startWorkflow(
        self,
        mrNode: Any,
        bundlePath: str = "demo",
        *,
        ctNode: Any = None,
        mrcatNode: Any = None,
        bodyNode: Any = None,
        normalizedNode: Any = None,
        outputNode: Any = None,
        uncertaintyNode: Any = None,
        uncertainty: bool = False,
        device: str = "auto",
        rigid: str = "auto",
        deformable: bool = True,
        deformableBy: str = "plastimatch",
        listener: Any = None,
    ) -> Any:
        """Start all steps: normalize, generate, and register onto the CT where there is one.

        What was registered before of the same volumes is replaced.

        :param mrNode: MR, scalar volume node.
        :param ctNode: true CT; the synthetic CT and the MRCAT are registered onto it.
        :param mrcatNode: bulk-density CT substitute.

        Further parameters as those of the single steps.
        """
        from SyntheticCTMRML.packages import require
        from SyntheticCTMRML.registration_job import Registration
        from SyntheticCTMRML.roles import require_roles
        from SyntheticCTMRML.synthesis import Results, Synthesis

        require_roles(mrNode, ctNode, mrcatNode)
        results = Results()
        synthesis = Synthesis(
            mrNode,
            bundlePath,
            results,
            normalized=normalizedNode,
            sct=outputNode,
            uncertainty=uncertaintyNode,
            want_uncertainty=uncertainty,
            body=bodyNode,
            device=device,
        )
        stages = synthesis.stages()
        byPlastimatch = deformable and deformableBy == "plastimatch"
        if ctNode is not None:
            moved = [lambda: results.sct, *([mrcatNode] if mrcatNode is not None else [])]
            for moving in moved:
                options = {"engine": rigid, "deformable": deformable, "bends": deformableBy}
                stages += Registration(ctNode, moving, results, renew=True, **options).stages()
        require("generation", *(["registration"] if ctNode is not None and byPlastimatch else []))
        nodes = {"MR": mrNode, "CT": ctNode, "MRCAT": mrcatNode, "body contour": bodyNode}
        return _start(stages, listener, nodes)

    def startNormalize(
        self, mrNode: Any, bundlePath: str = "demo", outputNode: Any = None, listener: Any = None
    ) -> Any:
        """Start mapping an MR to the standard scale of a model (Nyul), with its histograms.

        :param mrNode: MR, scalar volume node.
        :param outputNode: scalar volume node for the result (float32).
        """
        from SyntheticCTMRML.roles import require_roles
        from SyntheticCTMRML.synthesis import Results, Synthesis

        require_roles(mrNode)
        work = Synthesis(mrNode, bundlePath, Results(), normalized=outputNode, generate=False)
        return _start(work.stages(), listener, {"MR": mrNode})

    def startGenerate(
        self,
        mrNode: Any,
        bundlePath: str = "demo",
        outputNode: Any = None,
        uncertaintyNode: Any = None,
        *,
        uncertainty: bool = False,
        bodyNode: Any = None,
        device: str = "auto",
        listener: Any = None,
    ) -> Any:
        """Start making the synthetic CT of an MR.

        :param mrNode: MR, scalar volume node.
        :param outputNode: scalar volume node for the synthetic CT (int16 HU).
        :param uncertaintyNode: scalar volume node for the standard deviation in HU over the
          slabs that predicted a slice (float32, -1 where only one did).
        :param uncertainty: makes that map also without a node for it.
        :param bodyNode: segmentation node; the synthetic CT is air, -1000 HU, outside its
          segment that is called body or external.
        :param device: "auto", "cpu" or "cuda".
        """
        from SyntheticCTMRML.packages import require
        from SyntheticCTMRML.roles import require_roles
        from SyntheticCTMRML.synthesis import Results, Synthesis

        require_roles(mrNode)
        work = Synthesis(
            mrNode,
            bundlePath,
            Results(),
            sct=outputNode,
            uncertainty=uncertaintyNode,
            normalize=False,
            want_uncertainty=uncertainty,
            body=bodyNode,
            device=device,
        )
        require("generation")
        return _start(work.stages(), listener, {"MR": mrNode, "body contour": bodyNode})

    def startRegister(
        self,
        fixedNode: Any,
        movingNode: Any,
        outputNode: Any = None,
        transformNode: Any = None,
        *,
        deformable: bool = True,
        deformableBy: str = "plastimatch",
        rigid: str = "auto",
        metric: str = "auto",
        fill: float | None = None,
        listener: Any = None,
    ) -> Any:
        """Start registering a volume onto another, rigidly and then deformably.

        :param fixedNode: volume that stays, usually the CT.
        :param movingNode: volume that is moved: synthetic CT, MRCAT or MR.
        :param outputNode: scalar volume node for the result, on the grid of the fixed volume.
        :param transformNode: transform node (vtkMRMLTransformNode) that lays the moving volume
          onto the fixed one.
        :param deformableBy: what finds the B-spline: "plastimatch" or "brainsfit".
        :param rigid: "brainsfit", "library", or "auto" for BRAINSFit where Slicer has it.
        :param metric: of the deformable part: "mse" between CT-like volumes, "mi" between MR and
          CT, or "auto", by the values of the moving volume.
        :param fill: value outside the moving volume's field of view; None for -1024 HU of
          CT-like volumes and 0 of others.
        """
        from SyntheticCTMRML.packages import require
        from SyntheticCTMRML.registration_job import Registration
        from SyntheticCTMRML.synthesis import Results

        work = Registration(
            fixedNode,
            movingNode,
            Results(),
            volume=outputNode,
            transform=transformNode,
            deformable=deformable,
            engine=rigid,
            bends=deformableBy,
            metric=metric,
            fill=fill,
        )
        if deformable and deformableBy == "plastimatch":
            require("registration")
        nodes = {"volume that stays": fixedNode, "volume that is moved": movingNode}
        return _start(work.stages(), listener, nodes)

    def removeResults(self, sources: list[Any]) -> None:
        """Remove what was made of volumes, and of that: volumes, transforms, charts."""
        from SyntheticCTMRML.charts import remove_results

        remove_results(slicer.mrmlScene, sources)

    def startExportDicom(
        self, sctNode: Any, mrFolder: str, folder: str, listener: Any = None, **options: bool
    ) -> Any:
        """Start writing a synthetic CT into ``folder`` as DICOM for a planning system.

        :param mrFolder: DICOM of its MR, whose study it joins; "" asks Slicer's DICOM database.
        :param options: ``body`` and ``seed_uids`` of SyntheticCTMRML.export_job.Export.
        """
        from SyntheticCTMRML.export_job import Export

        work = Export(sctNode, mrFolder, folder, **options)
        return _start(work.stages(), listener, {"synthetic CT": sctNode})

    def exportDicom(self, sctNode: Any, mrFolder: str, folder: str, **options: bool) -> str:
        """Write a synthetic CT as :meth:`startExportDicom` does, and return the folder."""
        return self.startExportDicom(sctNode, mrFolder, folder, **options).wait()

    def startSampleData(self, listener: Any = None) -> Any:
        """Start making the digital patient of the Sample Data module; nothing is downloaded.

        The job's result is a list of nodes: MR, CT, MRCAT look-alike, structures.
        """
        from SyntheticCTMRML.sample_data import start_sample

        return start_sample(listener)

    def startTraining(
        self,
        pairs: Any,
        modelFolder: str,
        settings: Any = None,
        *,
        resume: bool = False,
        listener: Any = None,
    ) -> Any:
        """Start training a model; a chart of its losses grows meanwhile.

        Cancelling keeps the last finished epoch, from which it can be resumed.

        :param pairs: manifest file (patient, mr, ct, registered, use), or a list of
          SyntheticCTMRML.pairs.Pair with volume nodes.
        :param modelFolder: folder for the model.
        :param settings: SyntheticCTLib.training_settings.TrainingSettings; those of the study
          when None.
        :param resume: goes on from the last finished epoch.
        """
        from SyntheticCTLib.training.settings import TrainingSettings

        from SyntheticCTMRML.packages import require
        from SyntheticCTMRML.synthesis import Results
        from SyntheticCTMRML.training_job import Training

        work = Training(
            pairs,
            modelFolder,
            settings or TrainingSettings(),
            Results(),
            resume=resume,
            listener=listener,
        )
        require("training")
        # Its pairs are copied into the training's folder: they may go.
        return _start(work.stages(), work, {})

    def trainingSettings(self, parameterNode: Any) -> Any:
        """Return the settings of a training that the panel asks for."""
        from SyntheticCTMRML.training_job import asked_settings

        return asked_settings(parameterNode)

    def showOverlay(self, background: Any, foreground: Any, opacity: float = 0.5) -> None:
        """Show a volume over another in every slice view, slices linked."""
        from SyntheticCTMRML.views import show_overlay

        show_overlay(background, foreground, opacity)

    def setOverlayOpacity(self, foreground: Any, opacity: float) -> None:
        """Fade a volume, wherever it lies over another one in a slice view, from 0 to 1."""
        from SyntheticCTMRML.display import nodes_of_class

        for composite in nodes_of_class(slicer.mrmlScene, "vtkMRMLSliceCompositeNode"):
            if composite.GetForegroundVolumeID() == foreground.GetID():
                composite.SetForegroundOpacity(opacity)

    def showSideBySide(self, left: Any, right: Any) -> None:
        """Show two volumes beside each other, slices linked."""
        from SyntheticCTMRML.views import show_side_by_side

        show_side_by_side(left, right)

    def showHistograms(self, mrNode: Any, normalizedNode: Any) -> None:
        """Show an MR before and after Nyul, and its histograms below."""
        from SyntheticCTMRML.charts import histogram_charts
        from SyntheticCTMRML.views import show_histograms

        show_histograms(mrNode, normalizedNode, histogram_charts(normalizedNode))

    def normalize(self, mrNode: Any, bundlePath: str, outputNode: Any) -> Any:
        """Map an MR to the standard scale of a model (Nyul) and return ``outputNode``."""
        from SyntheticCTMRML.display import show_mr
        from SyntheticCTMRML.models import model_card
        from SyntheticCTMRML.nodes import checked_image, refuse_same_node, update_node_from_image
        from SyntheticCTMRML.progress import LOG

        refuse_same_node(outputNode, [mrNode])
        normalized = model_card(bundlePath).nyul.apply(checked_image(mrNode, "MR", LOG))
        update_node_from_image(outputNode, normalized)
        show_mr(outputNode)
        return outputNode

    def generate(
        self,
        mrNode: Any,
        bundlePath: str,
        outputNode: Any,
        uncertaintyNode: Any = None,
        device: str = "auto",
        progress: Any = None,
    ) -> Any:
        """Make the synthetic CT of an MR as :meth:`startGenerate`, and return ``outputNode``."""
        from SyntheticCTLib.bundle.folder import bundle_folder, load_bundle
        from SyntheticCTLib.inference.synthesis import generate

        from SyntheticCTMRML.display import show_ct, show_uncertainty
        from SyntheticCTMRML.nodes import checked_image, refuse_same_node, update_node_from_image
        from SyntheticCTMRML.progress import LOG

        refuse_same_node(outputNode, [mrNode, uncertaintyNode])
        refuse_same_node(uncertaintyNode, [mrNode])
        mr = checked_image(mrNode, "MR", progress or LOG)
        bundle = load_bundle(bundle_folder(bundlePath))
        result = generate(mr, bundle, device=device, progress=progress or LOG)
        update_node_from_image(outputNode, result.sct)
        show_ct(outputNode)
        if uncertaintyNode is not None:
            update_node_from_image(uncertaintyNode, result.uncertainty)
            show_uncertainty(uncertaintyNode)
        return outputNode

    def register(
        self,
        fixedNode: Any,
        movingNode: Any,
        outputNode: Any,
        *,
        metric: str,
        fill: float,
        progress: Any = None,
    ) -> Any:
        """Register a volume as :meth:`startRegister` with the library; return ``outputNode``."""
        from SyntheticCTLib.registration.rigid_and_deformable import register

        from SyntheticCTMRML.nodes import checked_image, refuse_same_node, update_node_from_image
        from SyntheticCTMRML.progress import LOG

        refuse_same_node(outputNode, [fixedNode, movingNode])
        result = register(
            checked_image(fixedNode, "fixed volume"),
            checked_image(movingNode, "moving volume"),
            metric=metric,
            fill=fill,
            progress=progress or LOG,
        )
        update_node_from_image(outputNode, result.warped)
        return outputNode

    def outputName(self, mrNode: Any) -> str:
        """Return the name for the synthetic CT of an MR."""
        from SyntheticCTMRML.synthesis import sct_name

        return sct_name(mrNode.GetName())


def _start(stages: list[Any], listener: Any, inputs: dict[str, Any]) -> Any:
    """Start a job that ends where one of ``inputs`` (nodes by what they are) is removed."""
    from SyntheticCTMRML.jobs import Job
    from SyntheticCTMRML.roles import other_patients

    job = Job(stages, listener, list(inputs.values())).start()
    if warning := other_patients(inputs):
        job.warn(warning)
    return job
