"""A small evaluation with made-up figures, for tests of pictures and reports."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from SyntheticCTEvalLib.evaluation.mr_histograms import HistogramSet
from SyntheticCTEvalLib.evaluation.results import CandidateResult, Evaluation
from SyntheticCTEvalLib.gamma.criteria import GammaCriteria, GammaResult
from SyntheticCTEvalLib.image.body_agreement import body_contour
from SyntheticCTEvalLib.image.similarity import DEFINITIONS, compare_images
from SyntheticCTLib.volumes.grids import image_like


def _grid_image(array, spacing=(6.0, 6.0, 8.0), origin=(-120.0, -90.0, -40.0)):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image


def made_evaluation(names=("sCT", "MRCAT"), dose=True, mr=True, structures=True):
    """Return an evaluation of ``names``, with as much of it as is asked for."""
    generator = np.random.default_rng(3)
    z, y, x = np.meshgrid(np.arange(10), np.arange(30), np.arange(40), indexing="ij")
    inside = ((x - 20) / 16) ** 2 + ((y - 15) / 11) ** 2 < 1
    ct_values = np.where(inside, 30.0, -1000).astype(np.float32)
    ct_values[((x - 10) ** 2 + (y - 15) ** 2 < 9)] = 700
    ct = _grid_image(ct_values)
    body = body_contour(ct, "CT")
    result = Evaluation(ct=ct, body=body, candidates={}, definitions=dict(DEFINITIONS))
    target = image_like(((x - 20) ** 2 + (y - 15) ** 2 + (z - 5) ** 2 < 12).astype(np.uint8), ct)
    dose_values = 45 * np.exp(-((x - 20) ** 2 + (y - 15) ** 2) / 60.0).astype(np.float32)
    for index, name in enumerate(names):
        values = ct_values + generator.normal(0, 20 * (index + 1), ct_values.shape)
        volume = image_like(values.astype(np.int16), ct)
        candidate = CandidateResult(
            name=name,
            volume=volume,
            difference=image_like((values - ct_values).astype(np.float32), ct),
            body=body_contour(volume, "CT"),
        )
        candidate.metrics = compare_images(ct, volume, body, candidate.body)
        if dose:
            gamma = np.where(dose_values > 4.5, (0.4 + index) * dose_values / 45, -1)
            candidate.dose = image_like(dose_values * (1 + 0.01 * index), ct)
            candidate.gamma = GammaResult(
                gamma=image_like(gamma.astype(np.float32), ct),
                evaluated=image_like((gamma >= 0).astype(np.uint8), ct),
                pass_rates={10.0: 98.123 - index, 60.0: 91.5 - index},
                criteria=GammaCriteria(normalization_gy=45.0, cutoffs_percent=(10, 60)),
                engine="exact",
                definition="Gamma 1 %/1 mm",
            )
            candidate.metrics["gpr"] = {"10": 98.123 - index, "60": 91.5 - index}
        result.candidates[name] = candidate
    if dose:
        result.dose_ct, result.prescription_gy = image_like(dose_values, ct), 45.0
        result.definitions["gpr"] = "Gamma 1 %/1 mm <global>, as made up for this test."
    if mr:
        result.mr = _grid_image(
            np.where(inside, 300, 5)[:, ::-1].astype(np.int16), (7.0, 5.0, 8.0), (-140, -75, -45)
        )
        rows = np.random.default_rng(0).dirichlet(np.ones(16), 4).tolist()
        edges = np.linspace(0, 1, 17).tolist()
        result.histograms = HistogramSet(edges, edges, rows, rows)
    if structures:
        result.structures = {"bladder": target, "PTV & nodes": target}
    return result
