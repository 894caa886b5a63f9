"""Planes lie where they say, whatever the grids of the images."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from evaluations import made_evaluation
from SyntheticCTEvalLib.pictures.planes import planes_of
from SyntheticCTLib.volumes.resampling import resample


def _turns():
    return (
        lambda i: i,
        lambda i: sitk.Flip(i, (True, True, True)),
        lambda i: sitk.PermuteAxes(i, (2, 0, 1)),
    )


def test_planes_lie_along_the_patient_whatever_the_grid():
    """A mark at the patient's left, back and head shows right, below and above."""
    evaluation = made_evaluation(dose=False, mr=False, structures=False)
    left, back, head = 66.0, 20.0, 24.0
    for turn in _turns():
        evaluation.ct, evaluation.body = turn(evaluation.ct), turn(evaluation.body)
        mark = sitk.Image(evaluation.ct) * 0
        mark[mark.TransformPhysicalPointToIndex((left, back, head))] = 100
        wide = sitk.SmoothingRecursiveGaussian(mark, 12)
        axial, coronal, sagittal = planes_of(evaluation)
        for plane, (column, row) in ((axial, (1, 1)), (coronal, (1, -1)), (sagittal, (1, -1))):
            values = plane.sample(wide, 0)
            rows, columns = np.indices(values.shape)
            middle = np.array(values.shape) / 2
            assert np.sign(np.average(columns, weights=values) - middle[1]) == column
            assert np.sign(np.average(rows, weights=values) - middle[0]) == row
        assert axial.letters == ("R", "L", "A", "P")
        assert coronal.letters == ("R", "L", "S", "I")
        assert sagittal.letters == ("A", "P", "S", "I")


def test_planes_cut_the_middle_of_the_target():
    evaluation = made_evaluation(dose=False, mr=False)
    target = evaluation.structures["PTV & nodes"]
    for plane in planes_of(evaluation):
        assert plane.sample(target, 0).max() > 0.9
        assert plane.mask(target * 7).max() == pytest.approx(1)
    middle = target.TransformContinuousIndexToPhysicalPoint((20.0, 15.0, 5.0))
    axial, coronal, sagittal = planes_of(evaluation)
    assert axial.grid.GetOrigin()[2] == pytest.approx(middle[2])
    assert coronal.grid.GetOrigin()[1] == pytest.approx(middle[1])
    assert sagittal.grid.GetOrigin()[0] == pytest.approx(middle[0])


@pytest.mark.parametrize("point", [(-31.0, 12.5, 3.0), (200.0, -150.0, 90.0)])
def test_planes_through_a_point_cut_it_and_show_it_even_beyond_the_body(point):
    planes = planes_of(made_evaluation(dose=False), at=point)
    for plane in planes:
        column, row, through = plane.grid.TransformPhysicalPointToContinuousIndex(point)
        assert through == pytest.approx(0)
        assert plane.pixel_of(point) == pytest.approx((column, row))
        assert 0 < column < plane.grid.GetSize()[0] - 1
        assert 0 < row < plane.grid.GetSize()[1] - 1
    assert planes[0].position == f"S {point[2]:.0f} mm"


def test_values_on_a_plane_are_those_of_the_whole_image():
    evaluation = made_evaluation(names=("sCT",), structures=False)
    images = (evaluation.ct, evaluation.mr)
    for image in (sitk.Cast(turn(i), sitk.sitkFloat32) for i in images for turn in _turns()):
        for point in (None, (-100.0, 60.0, 41.0), (200.0, 0.0, 90.0)):
            for plane in planes_of(evaluation, at=point):
                for nearest in (False, True):
                    whole = resample(image, plane.grid, fill=-7, nearest=nearest)
                    np.testing.assert_allclose(
                        plane.sample(image, -7, nearest),
                        sitk.GetArrayFromImage(whole)[0],
                        atol=0.01,
                    )
