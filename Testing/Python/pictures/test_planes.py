PICS
def test_planes_lie_along_the_patient_whatever_the_grid():
    """A mark at the patient's left, back and head shows right, below and above."""
    evaluation = _evaluation(dose=False, mr=False, structures=False)
    left, back, head = 66.0, 20.0, 24.0
    for turn in (lambda i: i, lambda i: sitk.Flip(i, (True, True, True)),
                 lambda i: sitk.PermuteAxes(i, (2, 0, 1))):  # fmt: skip
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
    evaluation = _evaluation(dose=False, mr=False)
    target = evaluation.structures["PTV & nodes"]
    for plane in planes_of(evaluation):
        assert plane.sample(target, 0).max() > 0.9
    middle = target.TransformContinuousIndexToPhysicalPoint((20.0, 15.0, 5.0))
    axial, coronal, sagittal = planes_of(evaluation)
    assert axial.grid.GetOrigin()[2] == pytest.approx(middle[2])
    assert coronal.grid.GetOrigin()[1] == pytest.approx(middle[1])
    assert sagittal.grid.GetOrigin()[0] == pytest.approx(middle[0])


def _share_of(picture, colour):
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)
    return (np.abs(pixels - colour).max(axis=2) < 50).mean()


def test_gamma_picture_paints_failures_and_leaves_unevaluated_voxels_alone():
    fails = [int(FAILS_COLOUR[i : i + 2], 16) for i in (1, 3, 5)]
    evaluation = _evaluation(names=("sCT",), structures=False)
    candidate = evaluation.candidates["sCT"]
    planes = planes_of(evaluation)
    shares = {}
    for value in (-1.0, 0.5, 1.0, 1.5):
        values = image_like(np.full((10, 30, 40), value, np.float32), evaluation.ct)
        candidate.gamma = dataclasses.replace(candidate.gamma, gamma=values)
        shares[value] = _share_of(gamma_picture(evaluation, planes), fails)
    assert shares[1.5] > 0.3
    assert max(shares[-1.0], shares[0.5], shares[1.0]) < 0.01


def test_no_structure_of_the_ct_is_drawn_over_an_mr_that_was_not_registered():
    yellow = [int(TARGET_COLOUR[i : i + 2], 16) for i in (1, 3, 5)]
    evaluation = _evaluation(names=("sCT",), dose=False)
    picture = anatomy_picture(evaluation, planes_of(evaluation))
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)
    drawn = np.abs(pixels - yellow).max(axis=2) < 50
    rows = len(pixels)
    assert drawn[rows // 2 :].any()
    assert not drawn[: rows // 3].any()
    assert "no structure of the CT is drawn over it" in picture.caption


