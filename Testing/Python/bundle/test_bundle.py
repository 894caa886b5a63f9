"""A model bundle comes back as it was saved, or not at all."""

from __future__ import annotations

import json

import pytest
import torch
from models import tiny_bundle
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.bundle.folder import (
    CARD,
    WEIGHTS,
    demo_bundle_folder,
    load_bundle,
    save_bundle,
)


@pytest.fixture
def folder(tmp_path):
    return save_bundle(tiny_bundle(), tmp_path / "model")


def test_bundle_is_read_back_whole(folder):
    saved, read = tiny_bundle(), load_bundle(folder)
    assert read.nyul == saved.nyul
    assert read.domain == saved.domain
    assert read.mr_range == saved.mr_range
    assert read.spacing_mm == saved.spacing_mm
    assert len(read.sha256) == 64
    x = torch.zeros(1, 3, 8, 8)
    assert torch.equal(read.generator()(x), saved.generator()(x))


def test_same_bundle_has_the_same_hash_and_another_another(folder, tmp_path):
    again = save_bundle(tiny_bundle(), tmp_path / "again")
    other = save_bundle(tiny_bundle(seed=1), tmp_path / "other")
    assert load_bundle(folder).sha256 == load_bundle(again).sha256
    assert load_bundle(folder).sha256 != load_bundle(other).sha256


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_truncated_files_are_refused(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(SyntheticCTError, match="truncated or was altered"):
        load_bundle(folder)


def test_altered_weights_and_altered_facts_are_refused(folder):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(SyntheticCTError, match="SHA-256"):
        load_bundle(folder)
    save_bundle(tiny_bundle(), folder)
    card = json.loads((folder / CARD).read_text())
    card["hu_range"] = [0, 1]
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(SyntheticCTError, match="SHA-256"):
        load_bundle(folder)


def test_a_folder_without_a_bundle_is_named(tmp_path):
    with pytest.raises(SyntheticCTError, match="no model bundle"):
        load_bundle(tmp_path)


def test_demo_model_is_small_sealed_and_says_what_it_is():
    folder = demo_bundle_folder()
    bundle = load_bundle(folder)
    assert bundle.domain.phantom
    assert "phantom" in bundle.domain.text.lower()
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10e6
