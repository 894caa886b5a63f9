"""Which node is what: never two patients together, never one volume as two things."""

from __future__ import annotations

import pytest
from models import ct_like
from SyntheticCTLib.basics.errors import SyntheticCTError

pytest.importorskip("slicer", reason="slicer-core is not installed")
from SyntheticCTMRML.nodes import add_volume
from SyntheticCTMRML.roles import guess_roles, of_one_patient, other_patients, role_fault


def patient(harness, number: str, *names: str, level: str = "Patient"):
    """Add volumes under a patient of the subject hierarchy, as DICOM import does."""
    tree = harness.scene.GetSubjectHierarchyNode()
    item = tree.CreateSubjectItem(tree.GetSceneItemID(), f"patient {number}")
    tree.SetItemLevel(item, "Patient")
    tree.SetItemAttribute(item, "DICOM.PatientID", number)
    study = tree.CreateStudyItem(item, "study")
    nodes = []
    for name in names:
        node = add_volume(harness.scene, ct_like(), name)
        child = tree.GetItemByDataNode(node) or tree.CreateItem(study, node)
        tree.SetItemParent(child, study)
        tree.SetItemAttribute(child, "DICOM.Modality", name.split()[0])
        nodes.append(node)
    return nodes


def test_only_volumes_of_one_patient_are_proposed_together(harness):
    (_lonely_ct,) = patient(harness, "1", "CT of one")
    mr, ct = patient(harness, "2", "MR of two", "CT of two")
    assert guess_roles(harness.scene) == {"mr": mr, "ct": ct}


def test_a_volume_of_no_known_patient_belongs_to_the_only_one(harness):
    (mr,) = patient(harness, "1", "MR of one")
    loaded = add_volume(harness.scene, ct_like(), "CT")
    assert guess_roles(harness.scene) == {"mr": mr, "ct": loaded}
    patient(harness, "2", "CT of two")
    assert guess_roles(harness.scene) == {"mr": mr}


def test_the_same_patient_imported_twice_is_one(harness):
    (mr,) = patient(harness, "1", "MR of one")
    (ct,) = patient(harness, "1", "CT of one")
    assert of_one_patient(mr, ct, None)
    assert other_patients({"MR": mr, "CT": ct}) == ""


def test_different_patients_are_warned_of_without_their_names(harness):
    (mr,) = patient(harness, "SMITH", "MR of one")
    (ct,) = patient(harness, "JONES", "CT of two")
    told = other_patients({"MR": mr, "CT": ct, "MRCAT": None})
    assert "MR; CT" in told
    assert "SMITH" not in told and "JONES" not in told


def test_no_volume_is_two_things_and_no_ct_the_mr(harness):
    mr, ct = patient(harness, "1", "MR of one", "CT of one")
    assert role_fault(mr, ct) == ""
    assert "as MR and as CT" in role_fault(mr, mr)
    assert "as CT and as MRCAT" in role_fault(mr, ct, ct)
    assert "is a CT and no MR" in role_fault(ct)
    assert "is an MR and no CT" in role_fault(None, mr)
    logic = harness.load_module("SyntheticCT").SyntheticCTLogic()
    for start in (logic.startWorkflow, logic.startGenerate, logic.startNormalize):
        with pytest.raises(SyntheticCTError, match="is a CT and no MR"):
            start(ct)


def test_a_role_whose_volume_is_removed_is_empty(harness):
    panel = harness.open_panel("SyntheticCT")
    mr, _ct = patient(harness, "1", "MR of one", "CT of one")
    harness.process_events()
    panel.ui.mrSelector.setCurrentNode(mr)
    assert panel.ui.makeButton.enabled
    harness.scene.RemoveNode(mr)
    harness.process_events()
    assert panel.ui.mrSelector.currentNode() is None
    assert panel.logic.getParameterNode().mr is None
    assert not panel.ui.makeButton.enabled


def test_a_candidate_that_is_removed_leaves_an_empty_row(harness):
    panel = harness.open_panel("SyntheticCTEval")
    ct, one, other = (add_volume(harness.scene, ct_like(), name) for name in ("CT", "one", "two"))
    panel.ui.ctSelector.setCurrentNode(ct)
    for row, node in enumerate((one, other)):
        panel.ui.addCandidateButton.click()
        panel.inputs.candidates.selector(row, 1).setCurrentNode(node)
    harness.scene.RemoveNode(one)
    harness.process_events()
    assert panel.inputs.candidates.selector(0, 1).currentNode() is None
    assert list(panel.parameters.candidateNames) == ["one", "two"]
    assert panel.parameters.candidateVolumes[1] is other


def test_a_pair_of_two_patients_is_not_trained_on(harness):
    panel = harness.open_panel("SyntheticCT")
    (mr,) = patient(harness, "1", "MR of one")
    (ct,) = patient(harness, "2", "CT of two")
    table = panel.training.table
    table.mrSelector.setCurrentNode(mr)
    table.ctSelector.setCurrentNode(ct)
    table.addButton.click()
    assert table.pairs() == []
    assert "different patients" in harness.dialogs.messages[-1]
