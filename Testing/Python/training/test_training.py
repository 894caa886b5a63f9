"""Training: pairs, losses that fall, checkpoints that resume exactly, refusals."""

from __future__ import annotations

import csv
import math
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from models import blob_mr
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import NotedProgress, Progress
from SyntheticCTLib.bundle.folder import load_bundle
from SyntheticCTLib.inference.synthesis import generate
from SyntheticCTLib.normalization.nyul import NyulStandard
from SyntheticCTLib.training import epochs
from SyntheticCTLib.training.epochs import CHECKPOINT, train
from SyntheticCTLib.training.pairs import HU_AIR, prepare_pairs, read_sources
from SyntheticCTLib.training.settings import TrainingSettings
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.writing import write_volume

SMALL = TrainingSettings(epochs=2, width=2, depth=2, blocks=1, size=32, batch=3, device="cpu")


def ct_of(mr: sitk.Image) -> sitk.Image:
    """Return a CT of the blob: fat outside, bone inside, air around."""
    values = sitk.GetArrayViewFromImage(mr)
    hu = np.select([values > 450, values > 150], [400, -100], -1000)
    hu[0, 0, 0] += int(values.sum()) % 97  # no two patients have the same CT
    return image_like(hu.astype(np.int16), mr)


@pytest.fixture
def manifest(tmp_path):
    rows = []
    for patient in range(3):
        mr = blob_mr(size=(40, 36, 8), seed=patient)
        write_volume(mr, tmp_path / f"mr{patient}.nrrd")
        write_volume(ct_of(mr), tmp_path / f"ct{patient}.nrrd")
        use = "validation" if patient == 2 else "train"
        rows.append([f"p{patient}", f"mr{patient}.nrrd", f"ct{patient}.nrrd", "yes", use])
    path = tmp_path / "manifest.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["patient", "mr", "ct", "registered", "use"], *rows])
    return path


class Break(Progress):
    """Interrupts a training when its second epoch begins."""

    def report(self, step, fraction, **details):
        if details.get("epoch") == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("decay", [0, 1])
def test_resumed_training_equals_one_without_a_break(manifest, tmp_path, decay):
    sources, settings = read_sources(manifest), replace(SMALL, decay_epochs=decay)
    whole = train(sources, tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        train(sources, tmp_path / "broken", settings, progress=Break())
    assert not (tmp_path / "broken").exists()
    resumed = train(sources, tmp_path / "broken", settings, resume=True)
    assert resumed.record["history"] == whole.record["history"]
    for name, tensor in whole.weights.items():
        assert torch.equal(tensor, resumed.weights[name]), name


def test_more_epochs_may_follow_unless_the_learning_rate_has_decayed(manifest, tmp_path):
    sources = read_sources(manifest)
    train(sources, tmp_path / "model", replace(SMALL, epochs=1))
    more = train(sources, tmp_path / "model", SMALL, resume=True)
    assert len(more.record["history"]) == 2
    decayed = replace(SMALL, epochs=1, decay_epochs=1)
    train(sources, tmp_path / "decayed", decayed)
    with pytest.raises(SyntheticCTError, match="another epochs"):
        train(sources, tmp_path / "decayed", replace(decayed, epochs=2), resume=True)


def test_training_lowers_the_error_and_records_what_it_did(manifest, tmp_path):
    settings = replace(SMALL, epochs=12, width=4, learning_rate=1e-2, adversarial_weight=0.01)
    train(read_sources(manifest), tmp_path / "model", settings)
    bundle = load_bundle(tmp_path / "model")
    history = bundle.record["history"]
    assert len(history) == 12
    assert history[-1]["l1_hu"] < 0.5 * history[0]["l1_hu"]
    assert history[-1]["validation_mae_hu"] < 0.5 * history[0]["validation_mae_hu"]
    assert history[-1]["discriminator"] > 0
    assert bundle.record["patients_training"] == 2
    assert bundle.nyul.count == 2
    assert not bundle.domain.phantom


def test_pairs_are_kept_and_made_anew_when_a_source_changes(manifest, tmp_path):
    pairs = prepare_pairs(read_sources(manifest), tmp_path / "pairs")
    assert pairs.training == (0, 1)
    assert pairs.validation == (2,)
    ct, mr = pairs.ct(0), pairs.mr(0)
    assert ct.shape == mr.shape == (8, 36, 40)
    assert set(np.unique(ct)) == {HU_AIR, -100, 400}
    before = (pairs.folder / "pairs.json").stat().st_mtime_ns
    assert prepare_pairs(read_sources(manifest), tmp_path / "pairs").nyul == pairs.nyul
    assert (pairs.folder / "pairs.json").stat().st_mtime_ns == before
    write_volume(blob_mr(size=(40, 36, 8), seed=9), tmp_path / "mr0.nrrd")
    prepare_pairs(read_sources(manifest), tmp_path / "pairs")
    assert (pairs.folder / "pairs.json").stat().st_mtime_ns != before


def test_a_pair_that_is_one_volume_or_exchanged_is_refused(manifest, tmp_path):
    text = manifest.read_text()
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "mr1.nrrd")), str(tmp_path / "copy.mha"))
    ct = sitk.ReadImage(str(tmp_path / "ct1.nrrd"))
    dark = sitk.Cast(sitk.Threshold(ct, -500, 5000, -3024), sitk.sitkInt16)
    sitk.WriteImage(dark, str(tmp_path / "dark.nrrd"))
    for mr, ct, sentence in (
        ("mr1.nrrd", "copy.mha", "patient 2 of the manifest are the same volume"),
        ("ct1.nrrd", "mr1.nrrd", r"ct1\.nrrd holds CT numbers .* and is no MR"),
        ("dark.nrrd", "mr1.nrrd", "patient 2 of the manifest seem to be in each other's place"),
    ):
        manifest.write_text(text.replace("p1,mr1.nrrd,ct1.nrrd", f"p1,{mr},{ct}"))
        with pytest.raises(SyntheticCTError, match=sentence):
            prepare_pairs(read_sources(manifest), tmp_path / "pairs")


@pytest.mark.parametrize(("column", "what"), [("mr", "MR"), ("ct", "CT")])
def test_a_patient_who_comes_twice_is_named_and_never_both_trained_on_and_held_out(
    manifest, tmp_path, column, what
):
    text = manifest.read_text()
    for number, suffix in ((0, "mha"), (2, "nii.gz")):  # another name, format and pixel type
        scan = sitk.ReadImage(str(tmp_path / f"{column}{number}.nrrd"))
        sitk.WriteImage(sitk.Cast(scan, sitk.sitkFloat32), str(tmp_path / f"copy{number}.{suffix}"))
    manifest.write_text(text.replace(f"{column}1.nrrd", "copy0.mha"))
    for _ in range(2):  # made, and kept
        told = NotedProgress(Progress())
        prepare_pairs(read_sources(manifest), tmp_path / "pairs", progress=told)
        sentence = f"Patients 1 and 2 of the manifest have the same {what}, voxel by voxel"
        assert any(warning.startswith(sentence) for warning in told.warnings)
    manifest.write_text(text.replace(f"{column}1.nrrd", "copy2.nii.gz"))
    with pytest.raises(SyntheticCTError, match=f"2 and 3 .* the same {what}, one to train on"):
        prepare_pairs(read_sources(manifest), tmp_path / "pairs")
    manifest.write_text(text)
    clean = NotedProgress(Progress())
    prepare_pairs(read_sources(manifest), tmp_path / "pairs", progress=clean)
    assert not any("same" in warning for warning in clean.warnings)


def test_a_training_is_neither_overwritten_nor_resumed_with_other_settings(manifest, tmp_path):
    sources = read_sources(manifest)
    train(sources, tmp_path / "model", replace(SMALL, epochs=1))
    with pytest.raises(SyntheticCTError, match="--resume, or remove"):
        train(sources, tmp_path / "model", SMALL)
    with pytest.raises(SyntheticCTError, match="another learning_rate"):
        train(sources, tmp_path / "model", replace(SMALL, learning_rate=1e-3), resume=True)
    with pytest.raises(SyntheticCTError, match="no training to resume"):
        train(sources, tmp_path / "other", SMALL, resume=True)
    checkpoint = tmp_path / "model.training" / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(SyntheticCTError, match="truncated or altered"):
        train(sources, tmp_path / "model", SMALL, resume=True)


def test_settings_that_make_no_sense_are_told(manifest, tmp_path):
    for wrong, sentence in (
        ({"size": 50, "depth": 4}, "multiple of 16"),
        ({"epochs": 0}, "at least 1"),
        ({"learning_rate": 0}, "learning rate"),
        ({"l1_weight": math.nan}, "finite"),
        ({"seed": -1}, "not negative"),
        ({"hu_range": (100.0, -100.0)}, "range of CT numbers"),
        ({"hu_range": (-1024.0, 1e6)}, "range of CT numbers"),
        ({"spacing_mm": 0.0}, "spacing"),
    ):
        with pytest.raises(SyntheticCTError, match=sentence):
            train(read_sources(manifest), tmp_path / "model", replace(SMALL, **wrong))


def test_a_training_goes_on_with_its_own_data_only(manifest, tmp_path):
    sources, text = read_sources(manifest), manifest.read_text()
    train(sources, tmp_path / "model", replace(SMALL, epochs=1))
    pairs = tmp_path / "model.training" / "pairs" / "pairs.json"
    before = pairs.read_bytes()

    def refused(lines: list[str], sentence: str) -> None:
        manifest.write_text("\n".join(lines))
        with pytest.raises(SyntheticCTError, match=sentence):
            train(read_sources(manifest), tmp_path / "model", SMALL, resume=True)
        assert pairs.read_bytes() == before  # nothing was made anew

    header, first, second, third = text.splitlines()
    refused([header, first, third], "other data .*2 patients instead of 3")
    refused([header, second, first, third], "other data .*another order")
    refused([header, first.replace("mr0", "mr2"), second, third], "patient 1 .* has another MR")
    refused([header, first, second, third.replace("validation", "train")], "has another use")
    for path in tmp_path.glob("*.nrrd"):  # the same files elsewhere are the same data
        path.rename(path.with_name(f"moved_{path.name}"))
    moved = text.replace(",mr", ",moved_mr").replace(",ct", ",moved_ct")
    manifest.write_text("\n".join([header, *moved.splitlines()[1:]]))
    more = train(read_sources(manifest), tmp_path / "model", SMALL, resume=True)
    assert len(more.record["history"]) == 2


class Warned(Progress):
    def __init__(self):
        self.warnings = []

    def warn(self, message):
        self.warnings.append(message)


@pytest.mark.parametrize(
    ("errors", "worse"),
    [([90, 60, 50], False), ([90, 50, 52], False), ([90, 50, 60], True), ([50, 49, 51], True)],
)
def test_a_training_that_ends_worse_than_it_was_says_so(
    manifest, tmp_path, monkeypatch, errors, worse
):
    values = iter(errors)
    monkeypatch.setattr(epochs, "_validation_mae", lambda *_: float(next(values)))
    progress = Warned()
    settings = replace(SMALL, epochs=3, width=1, depth=1)
    train(read_sources(manifest), tmp_path / "model", settings, progress=progress)
    told = [w for w in progress.warnings if "ended worse" in w]
    assert len(told) == worse
    model = load_bundle(tmp_path / "model")
    assert model.record.get("warnings", []) == told
    used = Warned()
    generate(blob_mr(size=(40, 36, 8)), model, device="cpu", progress=used)
    assert [w for w in used.warnings if "ended worse" in w] == told
    if worse:
        best = min(errors)
        assert f"held out the error was {best}.0 HU after epoch {errors.index(best) + 1}" in told[0]
        assert f"is {errors[-1]}.0 HU after epoch 3" in told[0]


def test_an_interrupt_ends_registrations_of_other_threads(manifest, tmp_path, monkeypatch):
    from SyntheticCTLib.registration import rigid_and_deformable

    manifest.write_text(manifest.read_text().replace("yes", "no"))
    ended = []

    def register(ct, mr, *, progress, **options):
        # As Ctrl-C does, which wakes the main thread out of waiting for this one.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        deadline = time.monotonic() + 20
        try:
            while time.monotonic() < deadline:
                progress.report("deformable registration", 0)
                time.sleep(0.01)
        except KeyboardInterrupt:
            ended.append("stopped")
            raise

    monkeypatch.setattr(rigid_and_deformable, "register", register)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            prepare_pairs(read_sources(manifest), tmp_path / "pairs", workers=1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == ["stopped"]
    assert list((tmp_path / "pairs").iterdir()) == []


def test_a_training_that_diverges_says_so_and_makes_no_model(manifest, tmp_path):
    settings = replace(SMALL, learning_rate=1e30, adversarial_weight=0.0)
    with pytest.raises(SyntheticCTError, match="diverged in epoch"):
        train(read_sources(manifest), tmp_path / "model", settings)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("patient,mr,ct\n", "no rows"),
        ("patient,mr\na,b\n", "lacks the column ct"),
        ("patient,mr,ct\na,,c\n", "Line 2 .* has no mr"),
        ("patient,mr,ct\na,b,c\na,b,c\n", "Line 3 .* second time"),
        ("patient,mr,ct\na,b,c\n", "does not exist"),
        ("patient,mr,ct,use\na,b,c,maybe\n", "'maybe' in the column use"),
    ],
)
def test_a_wrong_manifest_is_told(tmp_path, text, sentence):
    path = tmp_path / "manifest.csv"
    path.write_text(text)
    with pytest.raises(SyntheticCTError, match=sentence):
        read_sources(path)


def test_pairs_read_their_scale_off_the_foreground_of_the_manifest(manifest, tmp_path):
    rows = list(csv.reader(manifest.open(newline="")))
    rows[0].append("foreground")
    for number, row in enumerate(rows[1:]):
        mr = blob_mr(size=(40, 36, 8), seed=number)
        write_volume(sitk.Cast(mr > 420, sitk.sitkUInt8), tmp_path / f"tissue{number}.nrrd")
        row.append(f"tissue{number}.nrrd" if number < 2 else "")
    with manifest.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    sources = read_sources(manifest)
    assert [source.foreground is None for source in sources] == [False, False, True]
    pairs = prepare_pairs(sources, tmp_path / "pairs")
    images = [blob_mr(size=(40, 36, 8), seed=n) for n in range(2)]
    expected = NyulStandard.learn((m, sitk.GetArrayFromImage(m) > 420) for m in images)
    assert pairs.nyul == expected
    write_volume(sitk.Image(40, 36, 8, sitk.sitkUInt8), tmp_path / "tissue0.nrrd")
    with pytest.raises(SyntheticCTError, match="holds no voxel of the MR"):
        prepare_pairs(sources, tmp_path / "pairs")


def test_padding_of_a_training_mr_does_not_widen_the_range_of_the_network(manifest, tmp_path):
    plain = prepare_pairs(read_sources(manifest), tmp_path / "plain")
    for number in range(3):
        mr = blob_mr(size=(40, 36, 8), seed=number)
        padded = sitk.ConstantPad(mr, [12, 12, 1], [12, 12, 1], 0.0)
        write_volume(padded, tmp_path / f"mr{number}.nrrd")
    padded = prepare_pairs(read_sources(manifest), tmp_path / "padded")
    assert padded.mr_range == pytest.approx(plain.mr_range, rel=1e-3)
    assert padded.nyul.scale == pytest.approx(plain.nyul.scale, rel=1e-6)


def test_padding_of_a_training_ct_is_not_interpolated_into_the_body(manifest, tmp_path):
    pairs = []
    for padding in (-1024, -3024):
        for number in range(3):
            hu = sitk.GetArrayFromImage(ct := ct_of(blob_mr(size=(40, 36, 8), seed=number)))
            hu = np.where(hu > -500, hu, padding).astype(np.int16)
            hu[0, 0, 0] = -900 - number
            write_volume(image_like(hu, ct), tmp_path / f"ct{number}.nrrd")
        folder = tmp_path / str(padding)
        prepare_pairs(read_sources(manifest), folder, spacing_mm=7.0)
        pairs.append([np.load(folder / f"ct_{number}.npy") for number in range(3)])
    np.testing.assert_array_equal(*pairs)
