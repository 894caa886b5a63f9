"""Structures are bent by DICOM's deformable registrations as C.20.3 says, or refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import dataset, save_dicom
from pydicom.dataset import Dataset
from pydicom.uid import DeformableSpatialRegistrationStorage
from structure_files import rtstruct, square
from SyntheticCTEvalLib.structures.reading import read_structures
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, NotedProgress
from SyntheticCTLib.volumes.grids import grid_of

CT_FRAME, MR_FRAME = "1.2.9", "1.2.3"  # structure_files draws in 1.2.3
CT = grid_of((60, 60, 40), (2.0, 2.0, 3.0), (-60.0, -60.0, -60.0))
CT.SetMetaData("FrameOfReferenceUID", CT_FRAME)
SIZE, SPACING = (15, 16, 17), (10.0, 9.0, 8.0)
AXES = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # columns
ORIGIN_TURNED = (-70.0, 75.0, -64.0)


def vectors(points) -> np.ndarray:
    """Displacements in mm at points of the CT, linear so that interpolation is exact."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([0.06 * y + 4, -0.05 * z - 3, 0.04 * x + 5], axis=-1)


def turned(angle, shift) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array(
        [[cos, -sin, 0, shift[0]], [sin, cos, 0, shift[1]], [0, 0, 1, shift[2]], [0, 0, 0, 1]]
    )


BEFORE, AFTER = turned(0.1, (2, -3, 4)), turned(-0.2, (-6, 5, 1))


def item(frame=MR_FRAME, before=None, after=None, values=None, size=SIZE) -> Dataset:
    """An item of a frame, with vectors on a grid that is turned against the axes."""
    found, grid = Dataset(), Dataset()
    indices = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
    points = indices * SPACING @ AXES.T + ORIGIN_TURNED
    if values is None:
        values = vectors(points)
    grid.ImagePositionPatient = list(ORIGIN_TURNED)
    grid.ImageOrientationPatient = [*AXES[:, 0], *AXES[:, 1]]
    grid.GridDimensions, grid.GridResolution = list(size), list(SPACING)
    grid.VectorGridData = values.transpose(2, 1, 0, 3).astype("<f4").tobytes()
    found.SourceFrameOfReferenceUID = frame
    for name, matrix in (("Pre", before), ("Post", after)):
        if matrix is not None:
            step = Dataset()
            step.FrameOfReferenceTransformationMatrixType = "RIGID"
            step.FrameOfReferenceTransformationMatrix = [f"{v:.12g}" for v in matrix.ravel()]
            setattr(found, f"{name}DeformationMatrixRegistrationSequence", [step])
    found.DeformableRegistrationGridSequence = [grid]
    return found


def reg(path, items, registered=CT_FRAME):
    found = dataset(path, DeformableSpatialRegistrationStorage, "REG")
    found.FrameOfReferenceUID = registered
    found.DeformableRegistrationSequence = items
    save_dicom(found, path)
    return path


@pytest.fixture
def structures(tmp_path):
    folder = tmp_path / "rs"
    folder.mkdir()
    contours = [square(z, 15, (4.0, -6.0)) for z in np.arange(-15, 16, 3.0)]
    return rtstruct(folder / "rs.dcm", {"PTV": contours, "second": contours})


def read(structures, file=None):
    noted = NotedProgress(SILENT)
    return read_structures(structures, CT, noted, registration=file), noted.warnings


@pytest.mark.parametrize(
    ("before", "after"), [(None, None), (None, AFTER), (BEFORE, None), (BEFORE, AFTER)]
)
def test_every_voxel_is_inside_whose_point_comes_from_inside(tmp_path, structures, before, after):
    file = reg(tmp_path / "reg.dcm", [item(before=before, after=after)])
    masks, told = read(structures, file)
    assert list(masks) == ["PTV", "second"]
    assert len(told) == 1 and "reg.dcm" in told[0]
    # By the standard's equation: post (pre x + vector (x)), at every voxel of the mask.
    mask = masks["PTV"]
    index = np.argwhere(np.ones(mask.GetSize()[::-1]))[:, ::-1]
    points = index * mask.GetSpacing() + mask.GetOrigin()
    first, last = (np.eye(4) if one is None else one for one in (before, after))
    ends = points @ first[:3, :3].T + first[:3, 3] + vectors(points)
    ends = ends @ last[:3, :3].T + last[:3, 3]
    apart = np.abs(ends - (4, -6, 0)) - (15, 15, 16.5)  # mm beyond the drawn box
    expected, deep = (apart < 0).all(axis=1), np.abs(apart.max(axis=1)) > 1.6
    inside = sitk.GetArrayFromImage(mask).ravel() > 0
    assert (inside == expected)[deep].all()
    voxel = np.prod(mask.GetSpacing())
    assert inside.sum() * voxel == pytest.approx(expected.sum() * voxel, rel=0.03)
    # None of it is cut off: the first and last planes of the grid are empty.
    values = sitk.GetArrayViewFromImage(mask)
    for axis in range(3):
        assert not values.take([0, -1], axis=axis).any()


def test_what_lies_beyond_the_vectors_is_told(tmp_path, structures):
    file = reg(tmp_path / "reg.dcm", [item(size=(15, 16, 8))])
    _, told = read(structures, file)
    assert any("PTV" in sentence and "beyond the grid" in sentence for sentence in told)


def test_one_beside_the_structures_is_taken_if_it_is_the_only_one(structures):
    reg(structures.parent / "a.dcm", [item()])
    masks, told = read(structures)
    assert len(masks) == 2 and "a.dcm" in told[0]
    reg(structures.parent / "b.dcm", [item()])
    with pytest.raises(SyntheticCTError, match=r"a\.dcm and .*b\.dcm"):
        read(structures)


def test_what_cannot_be_used_is_refused(tmp_path, structures):
    path = tmp_path / "reg.dcm"
    with pytest.raises(SyntheticCTError, match="with the CT as the fixed image"):
        read(structures, reg(path, [item(CT_FRAME)], registered=MR_FRAME))
    with pytest.raises(SyntheticCTError, match="not between"):
        read(structures, reg(path, [item("1.2.77")]))
    with pytest.raises(SyntheticCTError, match="several grids"):
        read(structures, reg(path, [item(), item()]))
    undefined = np.zeros((*SIZE, 3))
    undefined[3, 4, 5] = np.nan
    with pytest.raises(SyntheticCTError, match="no numbers"):
        read(structures, reg(path, [item(values=undefined)]))
    short = item()
    short.DeformableRegistrationGridSequence[0].VectorGridData = bytes(48)
    with pytest.raises(SyntheticCTError, match="damaged"):
        read(structures, reg(path, [short]))
    away = np.full((*SIZE, 3), 900.0)
    with pytest.raises(SyntheticCTError, match="inside the CT"):
        read(structures, reg(path, [item(values=away)]))
