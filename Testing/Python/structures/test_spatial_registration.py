"""ROIs of another frame of reference are brought over by DICOM registrations, or refused."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import dataset, save_dicom
from pydicom.dataset import Dataset
from pydicom.uid import DeformableSpatialRegistrationStorage, SpatialRegistrationStorage
from structure_files import rtstruct, square
from SyntheticCTEvalLib.structures.reading import read_structures
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, NotedProgress
from SyntheticCTLib.volumes.grids import grid_of

CT_FRAME, MR_FRAME, THIRD = "1.2.9", "1.2.3", "1.2.77"  # structure_files draws in 1.2.3
CT = grid_of((60, 60, 40), (2.0, 2.0, 3.0), (-60.0, -60.0, -60.0))
CT.SetMetaData("FrameOfReferenceUID", CT_FRAME)
BENT = DeformableSpatialRegistrationStorage
CENTRE = (4.0, -6.0, 1.5)


def matrix(shift=(12.0, -7.0, 10.4), angles=(0.0, 0.0, 0.2), scale=(1, 1, 1)):
    made = sitk.Euler3DTransform((0, 0, 0), *map(float, angles), shift)
    found = np.eye(4)
    found[:3, :3] = np.reshape(made.GetMatrix(), (3, 3)) @ np.diag(scale)
    found[:3, 3] = shift
    return found


def reg(path, items, registered=CT_FRAME, kind="RIGID", **elements):
    """Write a registration with ``items``: (frame, matrices)."""
    found = dataset(path, SpatialRegistrationStorage, "REG")
    found.FrameOfReferenceUID = registered
    found.RegistrationSequence = []
    for frame, matrices in items:
        item, one = Dataset(), Dataset()
        item.FrameOfReferenceUID = frame
        one.MatrixSequence = []
        for values in matrices:
            step = Dataset()
            step.FrameOfReferenceTransformationMatrixType = kind
            step.FrameOfReferenceTransformationMatrix = [f"{v:.10g}" for v in np.ravel(values)]
            one.MatrixSequence.append(step)
        item.MatrixRegistrationSequence = [one]
        found.RegistrationSequence.append(item)
    for name, value in elements.items():
        setattr(found, name, value)
    save_dicom(found, path)
    return path


@pytest.fixture
def structures(tmp_path):
    folder = tmp_path / "rs"
    folder.mkdir()
    contours = [square(z, 10, CENTRE[:2]) for z in (-3.0, 0.0, 3.0)]
    return rtstruct(folder / "rs.dcm", {"PTV": contours})


def centroid(mask):
    found = np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1].mean(axis=0)
    return np.array(mask.TransformContinuousIndexToPhysicalPoint(found.tolist()))


def moved(found, point=(4.0, -6.0, 0.0)):
    """Where a matrix brings a point, by SimpleITK."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(found[:3, :3].ravel().tolist())
    transform.SetTranslation(found[:3, 3].tolist())
    return transform.TransformPoint(point)


def read(structures, file=None):
    noted = NotedProgress(SILENT)
    masks = read_structures(structures, CT, noted, registration=file)
    return masks["PTV"], noted.warnings


TILTED = matrix(angles=(0.15, -0.1, 0.2))


@pytest.mark.parametrize(
    ("items", "registered", "expected"),
    [
        ([(MR_FRAME, [TILTED])], CT_FRAME, TILTED),
        ([(CT_FRAME, [np.eye(4)]), (MR_FRAME, [TILTED])], CT_FRAME, TILTED),
        ([(CT_FRAME, [TILTED])], MR_FRAME, np.linalg.inv(TILTED)),
        (
            [(CT_FRAME, [TILTED]), (MR_FRAME, [matrix((0, 5, 1))])],
            THIRD,
            np.linalg.inv(TILTED) @ matrix((0, 5, 1)),
        ),
    ],
    ids=["to the CT", "with identity", "only the inverse", "both to a third"],
)
def test_contours_go_where_the_registration_says(tmp_path, structures, items, registered, expected):
    mask, told = read(structures, reg(tmp_path / "reg.dcm", items, registered))
    assert centroid(mask) == pytest.approx(moved(expected), abs=0.15)
    volume = np.count_nonzero(sitk.GetArrayViewFromImage(mask)) * np.prod(mask.GetSpacing())
    assert volume == pytest.approx(20 * 20 * 9, rel=0.02)
    assert len(told) == 1 and "PTV" in told[0] and "reg.dcm" in told[0]


def test_of_several_matrices_the_first_is_applied_first(tmp_path, structures):
    turn, shift = matrix((0, 0, 0), (0, 0, 0.5)), matrix((20, 0, 0), (0, 0, 0))
    mask, told = read(structures, reg(tmp_path / "reg.dcm", [(MR_FRAME, [turn, shift])]))
    turned = moved(turn)
    assert centroid(mask) == pytest.approx((turned[0] + 20, turned[1], 0), abs=0.15)
    assert any("order" in sentence for sentence in told)


@pytest.mark.parametrize("kind", ["RIGID_SCALE", "AFFINE"])
def test_scales_count_and_a_rigid_matrix_has_none(tmp_path, structures, kind):
    grown = matrix(scale=(1.2, 1.1, 0.9))
    mask, _ = read(structures, reg(tmp_path / "reg.dcm", [(MR_FRAME, [grown])], kind=kind))
    volume = np.count_nonzero(sitk.GetArrayViewFromImage(mask)) * np.prod(mask.GetSpacing())
    assert volume == pytest.approx(20 * 20 * 9 * 1.2 * 1.1 * 0.9, rel=0.02)
    with pytest.raises(SyntheticCTError, match="RIGID"):
        read(structures, reg(tmp_path / "reg.dcm", [(MR_FRAME, [grown])]))


def test_a_registration_beside_the_structures_is_taken_and_told(tmp_path, structures):
    shift = matrix(angles=(0, 0, 0))
    reg(structures.parent / "b.dcm", [(THIRD, [np.eye(4)])])
    reg(structures.parent / "a.dcm", [(MR_FRAME, [shift])])
    mask, told = read(structures)
    assert centroid(mask) == pytest.approx(moved(shift), abs=0.15)
    assert "a.dcm" in told[0]
    reg(structures.parent / "c.dcm", [(MR_FRAME, [matrix((0, 0, 0))])])
    with pytest.raises(SyntheticCTError, match=r"a\.dcm and .*c\.dcm"):
        read(structures)


def test_without_a_registration_it_is_refused_by_name(structures):
    with pytest.raises(SyntheticCTError, match=r"PTV.*--structures-registration"):
        read(structures)


def test_what_does_not_fit_is_refused(tmp_path, structures):
    given = pydicom.dcmread(structures)
    given.PatientID = "one"
    save_dicom(given, structures)
    path = tmp_path / "reg.dcm"
    with pytest.raises(SyntheticCTError, match="another patient"):
        read(structures, reg(path, [(MR_FRAME, [matrix()])], PatientID="two"))
    with pytest.raises(SyntheticCTError, match=r"not between .*PTV"):
        read(structures, reg(path, [(THIRD, [matrix()])], PatientID="one"))
    mirror = matrix(scale=(-1, 1, 1))
    for bad in (mirror, np.full((4, 4), 0.0), matrix().T):
        with pytest.raises(SyntheticCTError, match="matrix"):
            read(structures, reg(path, [(MR_FRAME, [bad])], PatientID="one", kind="AFFINE"))
    with pytest.raises(SyntheticCTError, match="several matrices"):
        twice = [(MR_FRAME, [matrix()]), (MR_FRAME, [matrix((0, 0, 1))])]
        read(structures, reg(path, twice, PatientID="one"))
    with pytest.raises(SyntheticCTError, match="which frames of reference"):
        read(structures, reg(path, [], PatientID="one", SOPClassUID=BENT))
    with pytest.raises(SyntheticCTError, match="does not exist"):
        read(structures, tmp_path / "none.dcm")
    with pytest.raises(SyntheticCTError, match="no Spatial Registration"):
        read(structures, structures)


def test_a_registration_is_of_no_use_where_the_ct_names_no_frame(tmp_path, structures):
    bare = grid_of((60, 60, 40), (2.0, 2.0, 3.0), (-60.0, -60.0, -60.0))
    with pytest.raises(SyntheticCTError, match="does not say its frame"):
        read_structures(structures, bare, registration=reg(tmp_path / "r.dcm", []))
