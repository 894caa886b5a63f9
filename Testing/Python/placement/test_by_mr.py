"""One transform, found between MR and CT, carries the MR and all candidates onto the CT."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTEvalLib.evaluation.one_patient import evaluate
from SyntheticCTEvalLib.evaluation.settings import EvaluationSettings
from SyntheticCTEvalLib.evaluation.stored import read_evaluation
from SyntheticCTEvalLib.pictures.planes import planes_of
from SyntheticCTEvalLib.pictures.registration import registration_pictures
from SyntheticCTEvalLib.placement import place
from SyntheticCTEvalLib.placement.ways import place_definition
from SyntheticCTEvalLib.report.folder import earlier_results, write_evaluation
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.dicom.frame_of_reference import FRAME
from SyntheticCTLib.phantom import TINY, make_phantom
from SyntheticCTLib.volumes.grids import grid_of, image_like, same_grid
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, resample

BY_MR = EvaluationSettings(registration_by="mr", dose=False)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(3, TINY)


def swollen(image: sitk.Image) -> sitk.Image:
    """The volume with an error of shape of its own: bent by up to 6 mm around its middle."""
    middle = image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in image.GetSize()])
    x, y, z = (
        each - at
        for each, at in zip(
            np.meshgrid(
                *(
                    o + s * np.arange(n)
                    for o, s, n in zip(
                        image.GetOrigin(), image.GetSpacing(), image.GetSize(), strict=True
                    )
                ),
                indexing="ij",
            ),
            middle,
            strict=True,
        )
    )
    near = np.exp(-(x**2 + y**2 + z**2) / 60**2)
    field = np.stack([near * x / 7, near * y / 7, 0 * z], axis=-1).transpose(2, 1, 0, 3)
    vectors = sitk.GetImageFromArray(field, isVector=True)
    vectors.CopyInformation(image)
    return resample(image, image, sitk.DisplacementFieldTransform(vectors), fill=HU_OUTSIDE)


def dose_on(image: sitk.Image) -> sitk.Image:
    grid = grid_of((12, 12, 10), (10, 10, 10), [c - 50 for c in _middle(image)])
    k, j, i = np.indices((10, 12, 12))
    return image_like((40 - 0.2 * (i - 5) ** 2 - 0.3 * (j - 6) ** 2 - k).astype(np.float32), grid)


def _middle(image: sitk.Image) -> tuple[float, ...]:
    return image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in image.GetSize()])


@pytest.fixture(scope="module")
def carried(phantom):
    """Two candidates in the MR's space, one of them with an error of shape, and their doses."""
    return evaluate(
        phantom.ct,
        {"plain": phantom.mrcat, "swollen": swollen(phantom.mrcat)},
        mr=phantom.mr,
        dose_ct=dose_on(phantom.ct),
        doses=dict.fromkeys(("plain", "swollen"), dose_on(phantom.mr)),
        settings=EvaluationSettings(registration_by="mr"),
    )


def test_all_are_moved_by_the_transform_of_the_mr_and_none_by_its_own_errors(phantom, carried):
    plain, bad = (carried.candidates[name] for name in ("plain", "swollen"))
    found = carried.mr_moved.registration
    assert found.deformed
    for candidate in (plain, bad):
        assert candidate.moved.registration.transform is found.transform
        expected = resample(candidate.moved.original, phantom.ct, found.transform, fill=HU_OUTSIDE)
        difference = sitk.GetArrayFromImage(candidate.volume) - sitk.GetArrayFromImage(expected)
        assert np.abs(difference).max() == 0
    names = ("displacement_mean_mm", "displacement_max_mm", "jacobian_min", "jacobian_max")
    for name in (*names, "folding_percent"):
        assert plain.metrics[name] == bad.metrics[name] == carried.registration["mr"][name]
    assert bad.metrics["mae_body"] > plain.metrics["mae_body"] + 0.3
    assert bad.metrics["registration_dsc"] != carried.registration["mr"]["registration_dsc"]
    assert plain.metrics["mae_body_rigid"] > 0
    told = {key: carried.registration[key] for key in ("way", "by")}
    assert told == {"way": "deformable", "by": "mr"}
    assert carried.registration["metric"]["deformable"] == "mutual information"


def test_the_mr_lies_on_the_ct_as_well_as_by_the_known_deformation(phantom, carried):
    found = carried.mr_moved.registration
    ct = phantom.ct
    grid = (sitk.sitkVectorFloat64, ct.GetSize(), ct.GetOrigin(), ct.GetSpacing())
    body = sitk.GetArrayViewFromImage(phantom.labels_ct) > 0
    truth = sitk.GetArrayViewFromImage(phantom.displacement)[body]

    def error_mm(transform: sitk.Transform) -> float:
        field = sitk.TransformToDisplacementField(transform, *grid, ct.GetDirection())
        miss = sitk.GetArrayViewFromImage(field)[body] - truth
        return float(np.linalg.norm(miss, axis=1).mean())

    before = error_mm(sitk.Transform(3, sitk.sitkIdentity))
    # Voxels of 5 mm: bending gains nothing here; Benchmarks/registration_error.py has finer grids.
    assert max(error_mm(found.transform), error_mm(found.rigid)) < 0.6 * before
    expected = resample(phantom.mr, ct, found.transform, fill=0)
    values = sitk.GetArrayFromImage(carried.mr_registered)
    assert np.array_equal(values, sitk.GetArrayFromImage(expected))


def test_doses_are_moved_by_the_same_transform(phantom, carried):
    found = carried.mr_moved.registration
    dose = carried.candidates["plain"].dose
    there = dose.TransformContinuousIndexToPhysicalPoint((5, 5, 5))
    own = dose_on(phantom.mr)
    at = found.transform.TransformPoint(there)
    source = own.TransformPhysicalPointToContinuousIndex(at)
    assert own.EvaluateAtContinuousIndex(source) == pytest.approx(
        dose.EvaluateAtContinuousIndex((5, 5, 5)), abs=0.05
    )
    same = sitk.GetArrayFromImage(dose) == sitk.GetArrayFromImage(
        carried.candidates["swollen"].dose
    )
    assert same.all()


def test_results_hold_the_registered_mr_and_come_back(carried, tmp_path):
    write_evaluation(carried, tmp_path)
    assert tmp_path / "registered_MR.nrrd" in earlier_results(tmp_path)
    stored = read_evaluation(tmp_path)
    assert same_grid(stored.mr_registered, carried.ct)
    values = sitk.GetArrayFromImage(stored.mr_registered)
    assert np.array_equal(values, sitk.GetArrayFromImage(carried.mr_registered))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["registration"] == stored.registration == carried.registration
    assert "no candidate is bent" in metrics["definitions"]["registration"].lower()
    assert {"folding_percent", "jacobian_min"} <= set(metrics["definitions"])
    report = (tmp_path / "report.html").read_text()
    for name in ("the MR", "plain", "swollen"):
        assert f"Registration of {name}" in report
        assert f"{name} on an axial and a sagittal plane, before registration and after: " in report
    assert report.count("after: rigid, then deformable.") == 3
    assert report.count("% of the body folded. After the rigid part") == 3
    assert registration_pictures(stored, planes_of(stored)) == []


class Refusing(Progress):
    def warn(self, message: str) -> None:
        raise AssertionError(message)


@pytest.mark.parametrize("way", ["rigid", "none"])
def test_the_mr_carries_rigidly_and_not_at_all(phantom, monkeypatch, way):
    shift = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.0, 0.0, 0.0, (0.0, -6.0, 3.0))
    real, asked = place.register_onto, []

    def register(fixed, moving, **options):
        asked.append((moving, options["metric"], options["deformable"]))
        return real(fixed, moving, rigid=shift, **options)

    monkeypatch.setattr(place, "register_onto", register)
    settings = EvaluationSettings(registration=way, registration_by="mr", dose=False)
    result = evaluate(phantom.ct, {"sCT": phantom.mrcat}, mr=phantom.mr, settings=settings)
    metrics = result.candidates["sCT"].metrics
    assert same_grid(result.mr_registered, phantom.ct)
    if way == "none":
        assert not asked and "jacobian_min" not in metrics and result.registration["mr"] == {}
        expected = resample(phantom.mr, phantom.ct, fill=0)
        values = sitk.GetArrayFromImage(result.mr_registered)
        assert np.array_equal(values, sitk.GetArrayFromImage(expected))
        assert "taken to lie" in result.definitions["registration"]
    else:
        assert [(one[1], one[2]) for one in asked] == [("mi", False)]
        assert asked[0][0] is phantom.mr
        assert metrics["displacement_max_mm"] == metrics["folding_percent"] == 0
        assert "mae_body_rigid" not in metrics and "nothing was bent" in place_definition(way, "mr")
    titles = [p.title for p in registration_pictures(result, planes_of(result))]
    assert len(titles) == 2


def moved(image: sitk.Image, *shift: float) -> sitk.Image:
    there = sitk.Image(image)
    there.SetOrigin([o + s for o, s in zip(image.GetOrigin(), shift, strict=True)])
    return there


def framed(image: sitk.Image, frame: str) -> sitk.Image:
    own = sitk.Image(image)
    own.SetMetaData(FRAME, frame)
    return own


def test_a_candidate_that_does_not_lie_in_the_mrs_space_is_refused(phantom):
    ct, mr = framed(phantom.ct, "1.2"), framed(phantom.mr, "1.3")
    for candidate, said in (
        (moved(phantom.mrcat, 0, 15, 0), "does not lie in the MR's space .* likest 1[0-9] mm"),
        (moved(phantom.mrcat, 200, 0, 0), "does not lie in the MR's space"),
        (framed(phantom.mrcat, "1.2"), "frame of reference of the true CT"),
    ):
        with pytest.raises(SyntheticCTError, match=said):
            evaluate(ct, {"sCT": candidate}, mr=mr, settings=BY_MR)
    with pytest.raises(SyntheticCTError, match="there is no MR"):
        evaluate(ct, {"sCT": phantom.mrcat}, settings=BY_MR)
    with pytest.raises(SyntheticCTError, match="another name"):
        evaluate(ct, {"mr": phantom.mrcat}, mr=mr, settings=BY_MR)
    with pytest.raises(SyntheticCTError, match="by MR is unknown"):
        EvaluationSettings(registration_by="MR")


def test_a_candidate_that_may_lie_elsewhere_is_named(phantom):
    ct, mr = framed(phantom.ct, "1.2"), framed(phantom.mr, "1.3")
    on_ct = resample(phantom.mrcat, phantom.ct, fill=HU_OUTSIDE)
    for candidate, said in (
        (moved(phantom.mrcat, 6, 0, 0), "may not lie in the MR's space"),
        (framed(phantom.mrcat, "1.4"), "different frames of reference"),
        (on_ct, "on the grid of the true CT"),
    ):
        noted = NotedProgress(Progress())
        place.require_in_mr_space(ct, mr, {"sCT": candidate}, noted)
        assert len(noted.warnings) == 1 and said in noted.warnings[0]
    place.require_in_mr_space(ct, mr, {"sCT": framed(phantom.mrcat, "1.3")}, Refusing())
