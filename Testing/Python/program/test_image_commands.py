"""The commands normalize, generate and register, run as programs run them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from models import blob_mr, ct_like, tiny_bundle
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.bundle.folder import read_card, save_bundle
from SyntheticCTLib.registration import rigid_and_deformable
from SyntheticCTLib.registration.rigid_and_deformable import register
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.marks import label_synthetic
from SyntheticCTLib.volumes.resampling import resample
from SyntheticCTLib.volumes.writing import write_volume
from SyntheticCTProgram.program import main


@pytest.fixture
def folder(tmp_path):
    save_bundle(tiny_bundle(), tmp_path / "model")
    write_volume(blob_mr(), tmp_path / "mr.nrrd")
    return tmp_path


def values(path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def run(*arguments) -> int:
    return main([*map(str, arguments), "--progress", "json"])


def test_normalize_writes_the_standard_scale_and_histograms(folder):
    arguments = (folder / "mr.nrrd", "--model", folder / "model", "--output", folder / "n.nrrd")
    assert run("normalize", *arguments, "--histograms", folder / "h.json", "--uncompressed") == 0
    expected = read_card(folder / "model").nyul.apply(blob_mr())
    assert np.array_equal(values(folder / "n.nrrd"), sitk.GetArrayFromImage(expected))
    assert (folder / "n.nrrd").stat().st_size > expected.GetNumberOfPixels() * 4
    histograms = json.loads((folder / "h.json").read_text())
    assert sum(histograms["normalized"][-1]) == pytest.approx(1)
    assert len(histograms["raw_edges"]) == len(histograms["raw"][-1]) + 1


def test_generate_cuts_the_result_to_a_body_on_any_grid(folder):
    body = sitk.Image([8, 7, 5], sitk.sitkUInt8)
    body.SetSpacing((8.0, 8.0, 8.0))
    body.SetOrigin((-30.0, 20.0, 235.0))
    body += 1
    write_volume(body, folder / "body.mha")
    arguments = ("generate", folder / "mr.nrrd", "--model", folder / "model")
    assert run(*arguments, "--output", folder / "all.nrrd") == 0
    cut = ("--output", folder / "cut.nrrd", "--body", folder / "body.mha")
    assert run(*arguments, *cut, "--normalized", folder / "n.nrrd") == 0
    inside = sitk.GetArrayFromImage(resample(body, blob_mr(), fill=0, nearest=True)) > 0
    assert 0 < inside.sum() < inside.size
    expected = np.where(inside, values(folder / "all.nrrd"), -1000)
    assert np.array_equal(values(folder / "cut.nrrd"), expected)
    body.SetOrigin((1000.0, 0.0, 0.0))
    write_volume(body, folder / "body.mha")
    assert run(*arguments, *cut) == 2


def test_register_takes_a_known_rigid_transform_and_tells_it(folder, capsys):
    fixed = ct_like()
    known = sitk.Euler3DTransform()
    known.SetCenter(fixed.TransformContinuousIndexToPhysicalPoint((14.5, 12.5, 7.5)))
    known.SetRotation(0.05, -0.02, 0.1)
    known.SetTranslation((9.0, -4.0, 3.0))
    moving = resample(fixed, fixed, known.GetInverse(), fill=-1024)
    for name, image in (("fixed", fixed), ("moving", moving)):
        write_volume(image, folder / f"{name}.nrrd")
    sitk.WriteTransform(known, str(folder / "known.tfm"))
    common = ("register", "--fixed", folder / "fixed.nrrd", "--moving", folder / "moving.nrrd")
    common += ("--metric", "mse", "--fill", "-1024")
    written = ("--output", folder / "w.nrrd", "--rigid-part", folder / "rigid.tfm")
    rest = ("--rigid", folder / "known.tfm", "--no-deformable", "--field", folder / "f.nrrd")
    assert run(*common, *written, *rest) == 0
    expected = resample(moving, fixed, known, fill=-1024)
    difference = abs(values(folder / "w.nrrd") - sitk.GetArrayFromImage(expected).astype(float))
    assert difference.max() <= 1  # the same to rounding
    told = sitk.ReadTransform(str(folder / "rigid.tfm"))
    for point in ((0.0, 0.0, 0.0), (50.0, -20.0, 80.0)):
        assert told.TransformPoint(point) == pytest.approx(known.TransformPoint(point), abs=1e-4)
    assert not (folder / "f.nrrd").exists()  # nothing bends
    assert run(*common) == 2
    assert "Nothing is to be written" in capsys.readouterr().err


def truncated(monkeypatch, share: float) -> None:
    """Let transforms end early, as on a full disk, of which their writer says nothing."""
    write = sitk.WriteTransform

    def shortened(transform, path):
        write(transform, path)
        with open(path, "r+b") as stream:
            stream.truncate(int(share * stream.seek(0, 2)))

    monkeypatch.setattr(sitk, "WriteTransform", shortened)


@pytest.fixture(scope="module")
def registered():
    """A CT laid on itself by a known transform."""
    known = sitk.Euler3DTransform((1, 2, 3), 0.1, 0, 0, (9, 8, 7))
    ct = ct_like()
    return register(ct, ct, metric="mse", fill=-1024, rigid=known, deformable=False)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("suffix", [".tfm", ".h5"])
def test_a_transform_that_was_not_written_whole_is_no_result(
    folder, capsys, monkeypatch, registered, share, suffix
):
    write_volume(ct_like(), folder / "ct.nrrd")
    monkeypatch.setattr(rigid_and_deformable, "register", lambda *_, **__: registered)
    truncated(monkeypatch, share)
    arguments = ("register", "--fixed", folder / "ct.nrrd", "--moving", folder / "ct.nrrd")
    arguments += ("--metric", "mse", "--fill", "-1024", "--no-deformable")
    path = folder / "out" / f"found{suffix}"
    assert run(*arguments, "--transform", path) == 2
    assert f"found{suffix} cannot be written: make sure that there is room" in (
        capsys.readouterr().err
    )
    assert not path.parent.exists()


@pytest.mark.parametrize("lines", [3, 4])
def test_a_known_transform_that_ends_early_is_refused(folder, capsys, lines):
    write_volume(ct_like(), folder / "ct.nrrd")
    known = folder / "known.tfm"
    sitk.WriteTransform(sitk.Euler3DTransform((1, 2, 3), 0.1, 0, 0, (9, 8, 7)), known)
    known.write_text("".join(known.read_text().splitlines(keepends=True)[:lines]))
    arguments = ("register", "--fixed", folder / "ct.nrrd", "--moving", folder / "ct.nrrd")
    arguments += ("--metric", "mse", "--fill", "-1024", "--output", folder / "w.nrrd")
    assert run(*arguments, "--rigid", known) == 2
    assert "not the whole of it" in capsys.readouterr().err


def test_places_are_refused_before_anything_is_read(folder, capsys):
    (folder / "file").write_text("")
    (folder / "there.tfm").mkdir()
    common = ("register", "--fixed", "none.nrrd", "--moving", "none.nrrd", "--metric", "mse")
    for name, words in (
        ("found.xfm", "end the name with .tfm or .h5"),
        ("there.tfm", "is a folder"),
        ("file/found.tfm", "cannot be written to"),
    ):
        assert run(*common, "--fill", "0", "--transform", folder / name) == 2
        assert words in capsys.readouterr().err


def test_the_field_is_the_whole_transform(folder):
    fixed = ct_like()
    bulge = sitk.Image(fixed.GetSize(), sitk.sitkVectorFloat64, 3)
    bulge.CopyInformation(fixed)
    k, j, i = np.indices(fixed.GetSize()[::-1])
    bump = 9 * np.exp(-((i - 15) ** 2 + (j - 13) ** 2 + (k - 8) ** 2) / 40)
    vectors = np.stack([bump, -bump, 0 * bump], axis=-1)
    field = sitk.GetImageFromArray(vectors, isVector=True)
    field.CopyInformation(fixed)
    moving = resample(fixed, fixed, sitk.DisplacementFieldTransform(field), fill=-1024)
    for name, image in (("fixed", fixed), ("moving", moving)):
        write_volume(image, folder / f"{name}.nrrd")
    result = register(fixed, moving, metric="mse", fill=-1024)
    assert result.deformed
    arguments = ("--fixed", folder / "fixed.nrrd", "--moving", folder / "moving.nrrd")
    arguments += ("--metric", "mse", "--fill", "-1024", "--field", folder / "field.nrrd")
    assert run("register", *arguments) == 0
    found = sitk.Cast(sitk.ReadImage(str(folder / "field.nrrd")), sitk.sitkVectorFloat64)
    found = sitk.DisplacementFieldTransform(found)
    for index in ((15, 13, 8), (5, 20, 3), (22, 9, 12)):
        point = fixed.TransformIndexToPhysicalPoint(index)
        expected = result.transform.TransformPoint(point)
        assert found.TransformPoint(point) == pytest.approx(expected, abs=0.05)


def test_what_is_not_rigid_is_refused(folder):
    scaled = sitk.AffineTransform(3)
    scaled.Scale(1.1)
    with pytest.raises(SyntheticCTError, match="not rigid"):
        register(ct_like(), ct_like(5), metric="mse", fill=-1024, rigid=scaled)
    mirrored = sitk.AffineTransform(3)
    mirrored.SetMatrix((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    with pytest.raises(SyntheticCTError, match="not rigid"):
        register(ct_like(), ct_like(5), metric="mse", fill=-1024, rigid=mirrored)


def test_no_input_is_overwritten(folder, capsys):
    mr, model = folder / "mr.nrrd", folder / "model"
    before = mr.read_bytes()
    assert run("normalize", mr, "--model", model, "--output", mr) == 2
    assert "would overwrite" in capsys.readouterr().err
    same = ("--output", folder / "o.nrrd", "--normalized", folder / "o.nrrd")
    assert run("generate", mr, "--model", model, *same) == 2
    assert mr.read_bytes() == before
    assert not (folder / "o.nrrd").exists()


def test_an_output_in_another_format_is_refused_before_anything_is_computed(folder, capsys):
    outputs = ("--output", folder / "late.nrrd", "--uncertainty", folder / "u.mhd")
    assert run("generate", folder / "mr.nrrd", "--model", folder / "model", *outputs) == 2
    assert "u.mhd cannot be written" in capsys.readouterr().err
    assert not (folder / "late.nrrd").exists()


def test_a_registered_synthetic_ct_stays_labelled(folder):
    write_volume(ct_like(), folder / "ct.nrrd")
    write_volume(label_synthetic(ct_like(20)), folder / "sct.nrrd")
    files = ("--fixed", folder / "ct.nrrd", "--moving", folder / "sct.nrrd")
    asked = ("--metric", "mse", "--fill", "-1024", "--no-deformable")
    assert run("register", *files, *asked, "--output", folder / "r.nrrd") == 0
    assert "research use" in sitk.ReadImage(str(folder / "r.nrrd")).GetMetaData("SyntheticCT")


def test_normalize_and_generate_read_the_scale_off_a_given_foreground(folder):
    mr = blob_mr()
    tissue = sitk.GetArrayFromImage(mr) > 420
    write_volume(image_like(tissue.astype(np.uint8), mr), folder / "tissue.nrrd")
    expected = read_card(folder / "model").nyul.apply(mr, tissue)
    arguments = (folder / "mr.nrrd", "--model", folder / "model", "--histograms", folder / "h.json")
    arguments += ("--foreground", folder / "tissue.nrrd")
    assert run("normalize", *arguments, "--output", folder / "n.nrrd") == 0
    assert np.array_equal(values(folder / "n.nrrd"), sitk.GetArrayFromImage(expected))
    # Only voxels of the given foreground are counted.
    histograms = json.loads((folder / "h.json").read_text())
    edges = np.asarray(histograms["raw_edges"])[1:]
    assert sum(np.asarray(histograms["raw"][-1])[edges < 420]) == 0
    written = ("--output", folder / "sct.nrrd", "--normalized", folder / "n2.nrrd")
    assert run("generate", *arguments, *written) == 0
    assert np.array_equal(values(folder / "n2.nrrd"), values(folder / "n.nrrd"))
    write_volume(image_like(0 * tissue.astype(np.uint8), mr), folder / "tissue.nrrd")
    assert run("normalize", *arguments, "--output", folder / "n.nrrd") == 2
    assert run("normalize", *arguments, "--output", folder / "tissue.nrrd") == 2
