"""The digital patient in Slicer's Sample Data module: made on the spot, loaded where it lies."""

from __future__ import annotations

import functools

import pytest
from SyntheticCTLib.basics.errors import SyntheticCTError


def test_the_digital_patient_is_made_and_loaded(harness, monkeypatch):
    from SyntheticCTMRML import sample_data
    from SyntheticCTMRML.nodes import image_from_node

    monkeypatch.setattr(
        sample_data, "start_sample", functools.partial(sample_data.start_sample, grid="tiny")
    )
    harness.load_module("SyntheticCT")  # which offers it
    mr, ct, mrcat, structures = harness.sample(sample_data.SAMPLE)
    assert [node.GetName() for node in (mr, ct, mrcat, structures)] == [
        "Phantom 1001 MR",
        "Phantom 1001 CT",
        "Phantom 1001 MRCAT (synthetic, research use)",
        "Phantom 1001 structures",
    ]
    # The demo model knows its domain by this mark, which must survive in the scene.
    assert image_from_node(mr).GetMetaData("SyntheticCTPhantom") == "1001"
    assert "research use" in mrcat.GetAttribute("SyntheticCT")
    assert structures.GetSegmentation().GetNumberOfSegments() > 5
    assert mr.GetDisplayNode() is not None
    composite = harness.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == ct.GetID()  # both are seen at once
    assert composite.GetForegroundVolumeID() == mr.GetID()


def test_a_digital_patient_that_cannot_be_made_is_told_and_leaves_nothing(harness, monkeypatch):
    from SyntheticCTMRML import sample_data

    def fail(_listener):
        raise SyntheticCTError("There is no room on the disk.")

    monkeypatch.setattr(sample_data, "start_sample", fail)
    before = harness.scene.GetNumberOfNodes()
    assert sample_data.load_sample() == []
    assert "no room on the disk" in str(harness.dialogs.messages)
    assert harness.scene.GetNumberOfNodes() == before


def test_a_stopped_job_ends_its_child_and_loads_nothing(harness):
    from SyntheticCTMRML.jobs import JobListener
    from SyntheticCTMRML.sample_data import start_sample

    heard = []
    listener = JobListener()
    listener.onProgress = lambda *event: heard.append(event)
    before = harness.scene.GetNumberOfNodes()
    job = start_sample(listener, grid="clinical")
    harness.process_events(until=lambda: heard)
    job.cancel(wait=True)
    assert job.state == "cancelled"
    assert not job.folder.exists()
    assert harness.scene.GetNumberOfNodes() == before
    with pytest.raises(SyntheticCTError, match="cancelled"):
        job.wait()
