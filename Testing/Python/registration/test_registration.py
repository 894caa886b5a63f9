"""Registration: the direction of its transforms, its accuracy on a known deformation."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import SimpleITK as sitk
from blobs import BLOB_GRID, blobs
from quick import short_bending
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.mrcat.bulk_densities import bulk_from_ct
from SyntheticCTLib.phantom import TINY, Phantom, PhantomGrid, make_phantom
from SyntheticCTLib.registration import bspline
from SyntheticCTLib.registration.rigid_and_deformable import register
from SyntheticCTLib.volumes.grids import grid_of, image_like, same_grid
from SyntheticCTLib.volumes.resampling import HU_OUTSIDE, resample

SMALL = PhantomGrid(
    name="small",
    mr_size=(98, 98, 44),
    mr_spacing=(4.1, 4.1, 4.4),
    mr_low=-75.0,
    ct_size=(96, 96, 38),
    ct_spacing=(4.05, 4.05, 4.4),
    ct_low=-62.0,
)


class Told(Progress):
    def __init__(self) -> None:
        self.events: list[tuple[str, float]] = []
        self.warnings: list[str] = []

    def report(self, step: str, fraction: float, **details: object) -> None:
        self.events.append((step, fraction))

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(5, SMALL)


def rotation(*angles: float) -> np.ndarray:
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*angles)
    return np.reshape(turn.GetMatrix(), (3, 3))


def bend(largest_mm: float) -> sitk.BSplineTransform:
    """A smooth deformation around the origin, the same every time."""
    spline = sitk.BSplineTransform(3, 3)
    spline.SetTransformDomainOrigin((-250.0, -250.0, -200.0))
    spline.SetTransformDomainPhysicalDimensions((500.0, 500.0, 400.0))
    spline.SetTransformDomainMeshSize((8, 8, 7))
    knots = np.random.default_rng(2).uniform(-1, 1, len(spline.GetParameters()))
    spline.SetParameters((largest_mm * knots).tolist())
    return spline


def error_mm(phantom: Phantom, transform: sitk.Transform) -> float:
    """Mean target registration error over the body of the phantom's CT."""
    labels = sitk.GetArrayViewFromImage(phantom.labels_ct)
    truth = sitk.GetArrayViewFromImage(phantom.displacement)
    places = np.argwhere(labels > 0)
    picked = places[np.random.default_rng(0).choice(len(places), 4000, replace=False)]
    errors = []
    for k, j, i in picked.tolist():
        point = np.array(phantom.ct.TransformIndexToPhysicalPoint((i, j, k)))
        there = np.array(transform.TransformPoint(point.tolist()))
        errors.append(np.linalg.norm(there - point - truth[k, j, i]))
    return float(np.mean(errors))


def test_mr_is_brought_onto_ct_within_2_mm_without_folds(phantom):
    told = Told()
    result = register(phantom.ct, phantom.mr, metric="mi", fill=0, progress=told)
    before = error_mm(phantom, sitk.Transform(3, sitk.sitkIdentity))
    rigid, deformed = error_mm(phantom, result.rigid), error_mm(phantom, result.transform)
    assert before > 4
    assert rigid < 0.6 * before
    assert deformed < 2.0
    assert deformed < 0.85 * rigid
    field = sitk.TransformToDisplacementField(
        result.transform,
        sitk.sitkVectorFloat64,
        phantom.ct.GetSize(),
        phantom.ct.GetOrigin(),
        phantom.ct.GetSpacing(),
        phantom.ct.GetDirection(),
    )
    jacobian = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(field))
    assert jacobian.min() > 0
    assert 0 < result.min_jacobian < 1
    assert same_grid(result.warped, phantom.ct, 0)
    assert result.warped.GetPixelID() == phantom.mr.GetPixelID()
    steps = list(dict.fromkeys(step for step, _ in told.events))
    assert steps[:2] == ["rigid registration", "deformable registration"]
    for step in steps:
        fractions = [f for s, f in told.events if s == step]
        assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
        assert len(fractions) > 10


def test_bulk_densities_are_brought_onto_ct_by_mean_square(phantom):
    away = bend(7.0)
    moving = resample(bulk_from_ct(phantom.ct), phantom.ct, away, fill=HU_OUTSIDE)
    result = register(phantom.ct, moving, metric="mse", fill=HU_OUTSIDE)
    labels = sitk.GetArrayViewFromImage(phantom.labels_ct)
    places = np.argwhere(labels > 0)[::997, ::-1].tolist()
    points = [phantom.ct.TransformIndexToPhysicalPoint(place) for place in places]

    def miss(transform: sitk.Transform) -> float:
        back = [away.TransformPoint(transform.TransformPoint(point)) for point in points]
        return float(np.linalg.norm(np.subtract(back, points), axis=1).mean())

    assert miss(result.rigid) > 1.5
    assert miss(result.transform) < 0.75 * miss(result.rigid)
    assert result.deformed and result.min_jacobian > 0


def test_a_deformation_that_makes_images_less_alike_is_left_out_with_a_warning(monkeypatch):
    monkeypatch.setattr(bspline, "ATTEMPTS", 1)
    told = Told()
    # Where one image is bright the other is dark: the mean square pushes the bright spots out.
    result = register(
        blobs(BLOB_GRID),
        blobs(BLOB_GRID, organs=-0.4),
        metric="mse",
        fill=HU_OUTSIDE,
        progress=told,
    )
    assert not result.deformed and result.min_jacobian == 1
    point = (20.0, -10.0, 5.0)
    assert result.transform.TransformPoint(point) == result.rigid.TransformPoint(point)
    assert len(told.warnings) == 1 and "left out" in told.warnings[0]


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1), (1, 1, -1)])
def test_a_shift_is_found_on_oblique_and_flipped_grids(flips):
    shift = (9.0, -7.0, 6.0)
    axes = rotation(0.3, -0.2, 0.4) @ np.diag(flips)
    centre = axes @ (np.array((47, 39, 23)) * (4.0, 4.0, 5.0) / 2)
    grid = grid_of(
        (48, 40, 24), (4.0, 4.0, 5.0), tuple((-centre).tolist()), tuple(axes.ravel().tolist())
    )
    other = rotation(-0.1, 0.15, 0.05).ravel().tolist()
    there = grid_of((54, 46, 40), (3.7, 4.2, 4.5), (-110, -95, -85), tuple(other))
    result = register(
        blobs(grid), blobs(there, shift), metric="mi", fill=HU_OUTSIDE, deformable=False
    )
    for point in ((0.0, 0.0, 0.0), (50.0, -30.0, 20.0), (-40.0, 35.0, -25.0)):
        np.testing.assert_allclose(
            result.transform.TransformPoint(point), np.add(point, shift), atol=0.6
        )
    assert result.min_jacobian == 1
    assert same_grid(result.warped, grid, 0)


def test_a_turn_is_found_from_an_unknown_frame():
    truth = sitk.Euler3DTransform()
    truth.SetRotation(0.05, -0.04, 0.08)
    truth.SetTranslation((60.0, -30.0, 70.0))
    fixed = blobs(BLOB_GRID)
    far = grid_of((52, 44, 28), (4.0, 4.0, 5.0), (-50, -120, 0))
    moving = resample(
        blobs(grid_of((96, 80, 60), (2.0, 2.0, 2.5), (-95, -79, -73.75))),
        far,
        truth.GetInverse(),
        fill=-1000,
    )
    result = register(fixed, moving, metric="mse", fill=HU_OUTSIDE, deformable=False)
    for point in ((0.0, 0.0, 0.0), (50.0, -30.0, 20.0), (-40.0, 35.0, -25.0)):
        np.testing.assert_allclose(
            result.transform.TransformPoint(point), truth.TransformPoint(point), atol=0.6
        )


def registered_by_threads(monkeypatch, threads: int, fixed: sitk.Image, moving: sitk.Image):
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    try:
        return register(fixed, moving, metric="mse", fill=HU_OUTSIDE)
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def test_the_same_images_give_the_same_result_on_an_oblique_grid_and_leave_no_files(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    axes = rotation(0.3, -0.2, 0.4)
    grid = grid_of(
        (48, 40, 24),
        (4.0, 4.0, 5.0),
        tuple((-axes @ (np.array((47, 39, 23)) * (4.0, 4.0, 5.0) / 2)).tolist()),
        tuple(axes.ravel().tolist()),
    )
    source = blobs(grid_of((120, 100, 75), (2.0, 2.0, 2.5), (-119, -99, -92.5)))
    fixed, moving = resample(source, grid, bend(9.0), fill=-1000), source
    first, second = (
        registered_by_threads(monkeypatch, threads, fixed, moving) for threads in (1, 2)
    )
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(first.warped), sitk.GetArrayFromImage(second.warped)
    )

    assert list(tmp_path.iterdir()) == []

    def miss(image: sitk.Image) -> float:
        both = np.clip([sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(fixed)], -300, 600)
        return float(np.abs(both[0] - both[1]).mean())

    rigid = resample(moving, fixed, first.rigid, fill=HU_OUTSIDE)
    assert miss(first.warped) < 0.5 * miss(rigid)


def test_masks_leave_out_what_they_do_not_hold():
    fixed, moving = blobs(BLOB_GRID), blobs(BLOB_GRID, (8.0, 0.0, 0.0))
    # One half of the moving image is turned into something else; the mask takes the other.
    x = np.arange(48) * 4.0 - 94
    values = sitk.GetArrayFromImage(moving)
    values[:, :, x > 12] = sitk.GetArrayFromImage(blobs(BLOB_GRID, (-18.0, 0.0, 0.0)))[:, :, x > 12]
    mask = image_like(np.broadcast_to(x < 0, values.shape).astype(np.uint8), BLOB_GRID)
    result = register(
        fixed,
        image_like(values, BLOB_GRID),
        metric="mi",
        fill=HU_OUTSIDE,
        deformable=False,
        fixed_mask=mask,
        moving_mask=mask,
    )
    point = (-40.0, 0.0, 0.0)
    np.testing.assert_allclose(result.transform.TransformPoint(point), (-32.0, 0, 0), atol=1.0)


def test_an_interrupt_during_the_rigid_registration_is_no_failure():
    class Interrupted(Progress):
        def report(self, step, fraction, **details):
            if fraction > 0.1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        register(
            blobs(BLOB_GRID),
            blobs(BLOB_GRID, (5, 0, 0)),
            metric="mse",
            fill=-1024,
            progress=Interrupted(),
        )


def test_interrupts_that_come_while_itk_works_wait_for_its_next_report():
    """A signal between ITK and its Python callback would reach ITK as a fault of the callback."""
    handlers = []

    class Asked(Progress):
        def report(self, step, fraction, **details):
            if step == "rigid registration" and fraction > 0.1 and not handlers:
                handlers.append(signal.getsignal(signal.SIGINT))
                signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            register(
                blobs(BLOB_GRID),
                blobs(BLOB_GRID, (5, 0, 0)),
                metric="mse",
                fill=-1024,
                progress=Asked(),
            )
    finally:
        signal.signal(signal.SIGINT, before)
    assert handlers and handlers[0] is not signal.default_int_handler


def test_outside_the_moving_field_lies_the_fill_value():
    narrow = grid_of((48, 40, 12), (4.0, 4.0, 5.0), (-94, -78, -27.5))
    result = register(blobs(BLOB_GRID), blobs(narrow), metric="mse", fill=-777, deformable=False)
    values = sitk.GetArrayFromImage(result.warped)
    assert (values[0] == -777).all() and (values[-1] == -777).all()
    assert (values[11] != -777).any()


def test_padding_of_a_ct_is_not_interpolated_into_the_body():
    ct = sitk.BinShrink(make_phantom(3, TINY).ct, [2, 2, 1])
    hu = sitk.GetArrayFromImage(ct)
    moving = [image_like(np.where(hu > -500, hu, v).astype(np.int16), ct) for v in (-1024, -3024)]
    turn = sitk.Euler3DTransform()
    turn.SetTranslation((3.0, -2.0, 1.0))
    for image in moving:  # nearly there, so that what is given is taken, and between voxels
        image.SetOrigin([o + d for o, d in zip(ct.GetOrigin(), (4.0, -3.0, 2.0), strict=True)])
    one, other = (
        register(ct, image, metric="mse", deformable=False, fill=HU_OUTSIDE, rigid=turn)
        for image in moving
    )
    assert one.agreement == other.agreement
    np.testing.assert_array_equal(*map(sitk.GetArrayFromImage, (one.warped, other.warped)))


def test_images_apart_from_one_another_start_centre_on_centre_and_that_is_said():
    away = blobs(BLOB_GRID)
    away.SetOrigin([o + d for o, d in zip(away.GetOrigin(), (30, -60, 1000), strict=True)])
    told = NotedProgress(Progress())
    result = register(
        blobs(BLOB_GRID), away, metric="mi", fill=0, deformable=False, name="MR", progress=told
    )
    assert np.allclose(result.transform.TransformPoint((0, 0, 0)), (30, -60, 1000), atol=3)
    assert any("MR" in said and "centre on centre" in said for said in told.warnings)


def turned(image: sitk.Image, axis: int, degrees: float, fill: float):
    """The image turned about an axis through its middle, and the transform that lays it back."""
    turn = sitk.Euler3DTransform()
    middle = [(n - 1) / 2 for n in image.GetSize()]
    turn.SetCenter(image.TransformContinuousIndexToPhysicalPoint(middle))
    turn.SetRotation(*(np.deg2rad(degrees) * (n == axis) for n in range(3)))
    return sitk.Resample(image, image, turn, sitk.sitkLinear, fill), turn.GetInverse()


@pytest.mark.parametrize(("axis", "degrees"), [(1, 180), (0, 40), (2, 60)])
def test_a_turned_candidate_is_laid_right(axis, degrees):
    ct = sitk.BinShrink(make_phantom(7, TINY).ct, [2, 2, 1])
    candidate, back = turned(ct, axis, degrees, -1000.0)
    result = register(ct, candidate, metric="mse", fill=HU_OUTSIDE, deformable=False)
    assert result.agreement.sure
    for point in ((40, 10, 20), (-60, 0, -30), (0, -30, 0)):
        off = np.subtract(result.rigid.TransformPoint(point), back.TransformPoint(point))
        assert np.linalg.norm(off) < 3


def test_images_that_nowhere_agree_are_said_to_and_are_not_bent(monkeypatch):
    short_bending(monkeypatch)
    ct = sitk.BinShrink(make_phantom(7, TINY).ct, [2, 2, 1])
    half = ct.GetSize()[2] // 2
    noise = np.random.default_rng(0).normal(0, 1, ct.GetSize()[::-1])
    box = np.full(noise.shape, -1000.0)
    box[:, 3:13, 3:10] = 0
    other = image_like((box + 20 * noise).astype(np.float32), ct)[:, :, :half]
    told = NotedProgress(Progress())
    result = register(ct, other, metric="mse", fill=HU_OUTSIDE, name="sCT", progress=told)
    assert result.agreement.failed and not result.deformed
    assert any("registration of sCT seems to have failed" in said for said in told.warnings)


def test_an_empty_mask_and_an_unknown_metric_are_refused():
    image = blobs(BLOB_GRID)
    with pytest.raises(SyntheticCTError, match="mask given for registration is empty"):
        register(image, image, metric="mi", fill=0, fixed_mask=BLOB_GRID)
    with pytest.raises(SyntheticCTError, match="metric ssd is unknown: give mse or mi"):
        register(image, image, metric="ssd", fill=0)
