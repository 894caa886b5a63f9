"""The digital cohort: reproducible, true to its own deformation, and like a pelvis."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.phantom import (
    CLINICAL,
    COARSE,
    LEVELS_GY,
    STRUCTURE_NAMES,
    TINY,
    TISSUE_NAMES,
    PhantomGrid,
    Structure,
    Tissue,
    make_phantom,
    planning_structures,
    write_cohort,
    write_phantom,
)
from SyntheticCTLib.volumes.marks import SYNTHETIC_NOTE
from SyntheticCTLib.volumes.mask_folder import read_masks
from SyntheticCTLib.volumes.reading import read_volume
from SyntheticCTLib.volumes.segmentation import read_segmentation

SMALL = PhantomGrid(
    name="small",
    mr_size=(128, 128, 34),
    mr_spacing=(3.1, 3.1, 6.0),
    mr_low=-77.0,
    ct_size=(128, 128, 28),
    ct_spacing=(3.04, 3.04, 6.0),
    ct_low=-62.0,
)
IMAGES = (
    "mr",
    "ct",
    "in_phase",
    "water",
    "fat",
    "mrcat",
    "labels_mr",
    "labels_ct",
    "structures_mr",
    "structures_ct",
    "displacement",
)


@pytest.fixture(scope="module")
def small():
    return make_phantom(3, SMALL)


@pytest.fixture(scope="module")
def tiny():
    return {seed: make_phantom(seed, TINY) for seed in (5, 6, 7)}


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def digest(phantom) -> str:
    total = hashlib.sha256()
    for name in IMAGES:
        image = getattr(phantom, name)
        total.update(repr((name, image.GetOrigin(), image.GetSpacing())).encode())
        total.update(array(image).tobytes())
    return total.hexdigest()


def warp(phantom) -> sitk.Transform:
    return sitk.DisplacementFieldTransform(sitk.Cast(phantom.displacement, sitk.sitkVectorFloat64))


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def test_same_seed_gives_the_same_bytes_in_another_process_with_other_threads(tiny):
    program = (
        "import numpy, sys; numpy.random.seed(99); sys.path.insert(0, sys.argv[1]); "
        "from test_phantom import TINY, digest, make_phantom; print(digest(make_phantom(5, TINY)))"
    )
    threads = {"OMP_NUM_THREADS": "3", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "3"}
    other = subprocess.run(
        [sys.executable, "-c", program, os.path.dirname(__file__)],
        env=os.environ | threads,
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == digest(tiny[5])


def test_different_seeds_are_different_patients(tiny):
    sizes = {
        seed: [int((array(p.structures_ct) == s).sum()) for s in Structure]
        for seed, p in tiny.items()
    }
    for first, second in ((5, 6), (6, 7), (5, 7)):
        assert sizes[first] != sizes[second]
        assert (
            dice(array(tiny[first].structures_ct) == 2, array(tiny[second].structures_ct) == 2)
            < 0.9
        )


def test_displacement_lays_the_anatomy_of_the_mr_on_the_ct(small):
    moved = array(
        sitk.Resample(small.structures_mr, small.ct, warp(small), sitk.sitkNearestNeighbor, 0)
    )
    there = array(small.structures_ct)
    still = array(
        sitk.Resample(
            small.structures_mr,
            small.ct,
            sitk.Transform(3, sitk.sitkIdentity),
            sitk.sitkNearestNeighbor,
            0,
        )
    )
    for structure in list(Structure)[1:]:
        agreement = dice(moved == structure, there == structure)
        assert agreement > 0.85, structure.name
        assert agreement > dice(still == structure, there == structure), structure.name
    body = array(sitk.Resample(small.labels_mr, small.ct, warp(small), sitk.sitkNearestNeighbor, 0))
    assert dice(body > 0, array(small.labels_ct) > 0) > 0.985


def test_mr_covers_every_slice_of_the_ct(small):
    covered = array(
        sitk.Resample(small.labels_mr * 0 + 1, small.ct, warp(small), sitk.sitkNearestNeighbor, 0)
    )
    body = array(small.labels_ct) > 0
    assert covered[body].mean() > 0.995


def test_deformation_never_folds(tiny):
    for phantom in tiny.values():
        jacobian = array(sitk.DisplacementFieldJacobianDeterminant(phantom.displacement))
        assert jacobian[1:-1, 1:-1, 1:-1].min() > 0.2


def test_displacement_is_millimetres_and_largest_in_soft_tissue(tiny):
    for phantom in tiny.values():
        length = np.linalg.norm(array(phantom.displacement), axis=-1)[array(phantom.labels_ct) > 0]
        assert 1.5 < np.median(length) < 9
        assert length.max() < 25


def test_bones_move_as_one_rigid_body(small):
    labels = array(small.labels_ct)
    k, j, i = np.nonzero((labels == Tissue.SPONGY_BONE) | (labels == Tissue.COMPACT_BONE))
    p = np.array(small.ct.GetOrigin()) + np.stack([i, j, k], -1) * small.ct.GetSpacing()
    q = p + array(small.displacement)[k, j, i]
    # Kabsch: the best rigid motion of all bone voxels.
    a, b = p - p.mean(axis=0), q - q.mean(axis=0)
    u, _, vt = np.linalg.svd(a.T @ b)
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    assert np.sqrt(((a @ rotation - b) ** 2).sum(-1).mean()) < 0.3
    angle = np.rad2deg(np.arccos((np.trace(rotation) - 1) / 2))
    assert angle < 4


def test_gas_changes_between_the_scans(small):
    moved = array(
        sitk.Resample(small.labels_mr, small.ct, warp(small), sitk.sitkNearestNeighbor, 0)
    )
    there = array(small.labels_ct)
    assert (there == Tissue.GAS).sum() > 20
    assert dice(moved == Tissue.GAS, there == Tissue.GAS) < 0.7


def test_each_mr_has_its_own_scale_and_the_contrast_of_t2(tiny):
    medians = []
    for phantom in tiny.values():
        mr, labels = array(phantom.mr), array(phantom.labels_mr)
        value = {
            tissue: float(np.median(mr[labels == tissue]))
            for tissue in Tissue
            if (labels == tissue).any()
        }
        assert value[Tissue.URINE] > value[Tissue.SUBCUTANEOUS_FAT] > value[Tissue.SPONGY_BONE]
        assert value[Tissue.SPONGY_BONE] > value[Tissue.MUSCLE] > value[Tissue.AIR]
        medians.append(value[Tissue.SUBCUTANEOUS_FAT])
    ratios = [medians[0] / medians[1], medians[1] / medians[2], medians[0] / medians[2]]
    assert all(abs(np.log(ratio)) > 0.05 for ratio in ratios)


def test_air_of_the_mr_has_rician_noise(small):
    mr, labels = array(small.mr).astype(float), array(small.labels_mr)
    air = mr[:, :12, :12][labels[:, :12, :12] == 0]
    # Magnitude of complex Gaussian noise: mean / deviation = sqrt(pi / (4 - pi)) = 1.91.
    assert air.mean() / air.std() == pytest.approx(1.913, abs=0.06)


def test_ct_numbers_are_those_of_a_pelvis(small):
    ct, labels = array(small.ct).astype(float), array(small.labels_ct)

    # Away from surfaces, where voxels hold one tissue; bone with its shell as reported.
    def inside(tissue: Tissue) -> float:
        core = sitk.BinaryErode(small.labels_ct == int(tissue), (1, 1, 0), sitk.sitkBox)
        return float(ct[array(core) > 0].mean())

    assert -118 < inside(Tissue.SUBCUTANEOUS_FAT) < -95
    assert 40 < inside(Tissue.MUSCLE) < 65
    assert -5 < inside(Tissue.URINE) < 20
    assert 35 < inside(Tissue.UTERUS) < 60
    assert 50 < inside(Tissue.SPONGY_BONE) < 350
    bone = ct[(labels == Tissue.SPONGY_BONE) | (labels == Tissue.COMPACT_BONE)]
    assert 250 < bone.mean() < 480
    assert bone.max() > 700
    assert ct.min() >= -1024
    assert ct[labels == Tissue.AIR].min() == -1024


def test_t2_signal_tells_part_of_the_density_of_marrow():
    from SyntheticCTLib.anatomy.pelvis import Anatomy
    from SyntheticCTLib.anatomy.shapes import Points
    from SyntheticCTLib.phantom.ct import ct_look
    from SyntheticCTLib.phantom.mr import t2_look
    from SyntheticCTLib.phantom.texture import Texture

    patient = Anatomy(3).patient
    rng = np.random.default_rng(0)
    p = Points(*rng.uniform(-100, 100, (3, 4000)).astype(np.float32))
    marrow = np.zeros((2, 4000), np.float32)
    (hu,) = ct_look(patient, Texture(patient, "ct"))(Tissue.SPONGY_BONE, p, marrow)
    (t2,) = t2_look(patient, Texture(patient, "mr"))(Tissue.SPONGY_BONE, p, marrow)
    assert -0.98 < np.corrcoef(hu, t2)[0, 1] < -0.5


def test_another_grid_shows_the_same_patient(small):
    other = make_phantom(3, TINY)
    for structure in (Structure.BLADDER, Structure.TARGET, Structure.FEMORAL_HEAD_LEFT):
        volumes = [
            (array(p.structures_ct) == structure).sum() * np.prod(p.ct.GetSpacing())
            for p in (small, other)
        ]
        assert volumes[0] == pytest.approx(volumes[1], rel=0.15)


def test_left_is_left(small):
    left = np.argwhere(array(small.structures_ct) == Structure.FEMORAL_HEAD_LEFT).mean(axis=0)
    x = small.ct.GetOrigin()[0] + left[2] * small.ct.GetSpacing()[0]
    assert x > 50


@pytest.mark.parametrize("grid", [CLINICAL, COARSE])
def test_named_grids_are_those_of_the_study(grid):
    in_plane = 0.76 if grid is CLINICAL else 1.52
    assert grid.ct_spacing == (in_plane, in_plane, 3.0)
    assert grid.mr_spacing[2] == 3.0
    # The MR reaches beyond the CT at both ends.
    assert grid.mr_low < grid.ct_low
    mr_top = grid.mr_low + grid.mr_spacing[2] * (grid.mr_size[2] - 1)
    assert mr_top > grid.ct_low + grid.ct_spacing[2] * (grid.ct_size[2] - 1)


def test_mr_and_ct_lie_on_different_grids(tiny):
    for phantom in tiny.values():
        assert phantom.mr.GetOrigin() != phantom.ct.GetOrigin()
        for name in ("in_phase", "water", "fat", "mrcat", "labels_mr", "structures_mr"):
            assert getattr(phantom, name).GetOrigin() == phantom.mr.GetOrigin()


def test_written_phantom_reads_back(tiny, tmp_path):
    phantom = tiny[6]
    files = write_phantom(phantom, tmp_path / "p")
    assert {path.parent for path in files.values()} == {tmp_path / "p"}
    for name, image in (("mr", phantom.mr), ("ct", phantom.ct), ("mrcat", phantom.mrcat)):
        back = read_volume(files[name])
        assert back.GetOrigin() == pytest.approx(image.GetOrigin(), abs=1e-9)
        assert np.array_equal(array(back), array(image))
    assert read_volume(files["mrcat"]).GetMetaData("SyntheticCT") == SYNTHETIC_NOTE
    field = sitk.ReadImage(str(files["deformation"]))
    assert np.array_equal(array(field), array(phantom.displacement))
    structures = read_segmentation(files["structures_ct"])
    assert list(structures) == list(STRUCTURE_NAMES.values())
    assert np.array_equal(array(structures["bladder"]), array(phantom.structures_ct) == 2)
    assert set(read_segmentation(files["labels_mr"])) == set(TISSUE_NAMES.values())
    assert json.loads(files["case"].read_text(encoding="utf-8"))["seed"] == 6


def test_cohort_has_a_manifest_of_relative_paths(tmp_path):
    manifest = write_cohort(20, 2, tmp_path / "cohort", TINY)
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["patient"] for row in rows] == ["phantom_20", "phantom_21"]
    for row in rows:
        assert row["prescription_gy"] == "45"
        for column in ("mr", "ct", "candidate_MRCAT", "structures"):
            assert (manifest.parent / row[column]).is_file()


def test_targets_are_nested_and_the_manifest_for_plans_names_them_with_their_levels(tiny, tmp_path):
    for phantom in tiny.values():
        found = {name: array(mask) != 0 for name, mask in planning_structures(phantom).items()}
        outer, middle, inner = (found[f"PTV{level}"] for level in (45, 50, 55))
        assert np.array_equal(outer, array(phantom.structures_ct) == Structure.TARGET)
        assert not (inner & ~middle).any() and not (middle & ~outer).any()
        assert 0 < inner.sum() < middle.sum() < outer.sum()
        assert inner[array(phantom.labels_ct) == Tissue.TUMOUR].all()
        assert "target" not in found and found["bladder"].any()
    manifest = write_cohort(20, 1, tmp_path, TINY)
    with (tmp_path / "manifest_sib.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    levels = dict(level.split("=") for level in row["levels"].split(";"))
    assert {name: float(dose) for name, dose in levels.items()} == LEVELS_GY
    assert set(LEVELS_GY) < set(read_masks(tmp_path / row["structures"]))
    with manifest.open(newline="", encoding="utf-8") as file:
        assert "levels" not in next(csv.DictReader(file))


def test_empty_cohort_is_refused(tmp_path):
    with pytest.raises(SyntheticCTError, match="at least one"):
        write_cohort(1, 0, tmp_path / "cohort", TINY)
    assert not (tmp_path / "cohort").exists()


def test_patient_lies_on_a_flat_couch_and_apart_from_it(small):
    ct, labels = array(small.ct).astype(float), array(small.labels_ct)
    last = np.flatnonzero((labels > 0).any(axis=(0, 2)))[-1]
    below = ct[:, last + 1 : last + 12, 40:-40].mean(axis=(0, 2))
    # A denser skin around foam, neither as dense as tissue.
    assert -800 < below.max() < -350
    assert -990 < np.median(below[2:7]) < -900
    regions = sitk.ConnectedComponent(small.ct > -300)
    largest = array(sitk.RelabelComponent(regions)) == 1
    assert not largest[:, last + 2 :].any()
