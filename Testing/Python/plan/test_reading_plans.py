"""RTPLAN files: what is read of them, and what is refused."""

import numpy as np
import pytest
import SimpleITK as sitk
from rt_plans import beam, control_points, group, item, positions, rtplan_dataset, saved
from SyntheticCTEvalLib.plan.reading import read_plan, require_frame_of
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT, NotedProgress


def read(dataset, tmp_path, progress=SILENT):
    return read_plan(saved(dataset, tmp_path / "plan.dcm"), progress)


def test_a_static_beam_is_read_and_its_last_control_point_inherits_the_first(tmp_path):
    noted = NotedProgress(SILENT)
    plan = read(rtplan_dataset(), tmp_path, noted)
    (one,) = plan.beams
    first, last = one.control_points
    assert noted.warnings == []
    assert (one.meterset_mu, one.fractions, one.energy_mv, plan.total_mu) == (100, 25, 6, 2500)
    assert one.isocentre_mm == (1, 2, 3) and one.source_axis_mm == 1000 and not one.is_dynamic
    assert (first.meterset_weight, last.meterset_weight) == (0, 1)
    assert (last.gantry_deg, last.collimator_deg, last.couch_deg) == (10, 30, 350)
    assert last.jaws_x_mm == (-50, 50) and last.jaws_y_mm == (-40, 40)
    # All lower ends come first in the file, then all upper ends.
    np.testing.assert_array_equal(last.leaves_mm, [[-30, 30]] * 4)
    assert (one.mlc.axis, one.mlc.pairs, one.mlc.boundaries_mm[1]) == ("X", 4, -20)
    assert [level.dose_gy for level in plan.prescription] == [55, 45]
    assert (plan.uid, plan.frame_of_reference, plan.patient_position) == (
        "1.2.3.99",
        "1.2.3.4",
        "HFS",
    )


def test_weights_are_shares_of_the_final_weight_and_changed_leaves_are_kept(tmp_path):
    dataset = rtplan_dataset()
    points = control_points((0, 40, 40, 80), (10, None, None, None), ("NONE", None, None, None))
    points[2].BeamLimitingDevicePositionSequence = positions(None, None, [-5] * 4 + [15] * 4)
    dataset.BeamSequence = [beam(points=points)]
    (one,) = read(dataset, tmp_path).beams
    assert [point.meterset_weight for point in one.control_points] == [0, 0.5, 0.5, 1]
    assert [point.leaves_mm[0].tolist() for point in one.control_points] == [
        [-30, 30],
        [-30, 30],
        [-5, 15],
        [-5, 15],
    ]
    assert not one.is_dynamic  # step and shoot: leaves move while the beam is off


def test_an_arc_keeps_its_direction_and_mlcy_its_axis(tmp_path):
    dataset = rtplan_dataset()
    points = control_points((0, 0.5, 1), (350, 5, 20), ("CW", None, "NONE"))
    for device in points[0].BeamLimitingDevicePositionSequence:
        device.RTBeamLimitingDeviceType = device.RTBeamLimitingDeviceType.replace("MLCX", "MLCY")
    dataset.BeamSequence = [beam(points=points)]
    dataset.BeamSequence[0].BeamLimitingDeviceSequence[2].RTBeamLimitingDeviceType = "MLCY"
    (one,) = read(dataset, tmp_path).beams
    assert [point.gantry_deg for point in one.control_points] == [350, 5, 20]
    assert [point.gantry_direction for point in one.control_points] == ["CW", "CW", "NONE"]
    assert one.mlc.axis == "Y" and one.is_dynamic


def test_jaws_may_be_absent(tmp_path):
    dataset = rtplan_dataset()
    dataset.BeamSequence[0].BeamLimitingDeviceSequence = [
        dataset.BeamSequence[0].BeamLimitingDeviceSequence[2]
    ]
    points = dataset.BeamSequence[0].ControlPointSequence
    points[0].BeamLimitingDevicePositionSequence = positions(None, None)
    (one,) = read(dataset, tmp_path).beams
    assert one.control_points[0].jaws_x_mm is None and one.control_points[1].jaws_y_mm is None


def test_fraction_groups_beams_without_one_and_beams_that_set_up(tmp_path):
    dataset = rtplan_dataset()
    dataset.BeamSequence = [beam(number) for number in (1, 2, 3, 4)]
    dataset.BeamSequence[3].TreatmentDeliveryType = "SETUP"
    dataset.FractionGroupSequence = [
        group(1, 20, beam1=100.0, beam2=50.0, beam4=0),
        group(2, 5, beam2=60.0),
    ]
    noted = NotedProgress(SILENT)
    plan = read(dataset, tmp_path, noted)
    told = [(one.number, one.meterset_mu, one.fractions, one.fraction_group) for one in plan.beams]
    assert told == [(1, 100, 20, 1), (2, 50, 20, 1), (2, 60, 5, 2)]
    assert plan.total_mu == 20 * 150 + 5 * 60
    assert len(noted.warnings) == 1 and "left out: 3." in noted.warnings[0]


def test_a_beam_of_0_mu_is_left_out_and_told(tmp_path):
    dataset = rtplan_dataset()
    dataset.BeamSequence = [beam(1), beam(2)]
    dataset.FractionGroupSequence = [group(beam1=100.0, beam2=0)]
    noted = NotedProgress(SILENT)
    assert [one.number for one in read(dataset, tmp_path, noted).beams] == [1]
    (note,) = noted.warnings
    assert note.startswith("Beam 2 of the plan") and "has 0 MU" in note and "left out" in note


@pytest.mark.parametrize(
    ("numbers", "read_as"), [((None, None), [1, 2]), ((None, 1), [2, 1]), ((2, None), [2, 1])]
)
def test_fraction_groups_without_a_number_are_still_groups_of_their_own(numbers, read_as, tmp_path):
    dataset = rtplan_dataset()
    groups = [group(fractions=20, beam1=100.0), group(fractions=5, beam1=50.0)]
    for number, one in zip(numbers, groups, strict=True):
        one.FractionGroupNumber = number
    dataset.FractionGroupSequence = groups
    plan = read(dataset, tmp_path)
    assert [one.fraction_group for one in plan.beams] == read_as and plan.total_mu == 2250


def _beam(**elements):
    def change(dataset):
        for name, value in elements.items():
            setattr(dataset.BeamSequence[0], name, value)

    return change


def _first(**elements):
    def change(dataset):
        for name, value in elements.items():
            setattr(dataset.BeamSequence[0].ControlPointSequence[0], name, value)

    return change


def _last(**elements):
    def change(dataset):
        for name, value in elements.items():
            setattr(dataset.BeamSequence[0].ControlPointSequence[-1], name, value)

    return change


def _boundaries(*values):
    def change(dataset):
        device = dataset.BeamSequence[0].BeamLimitingDeviceSequence[2]
        device.LeafPositionBoundaries = list(map(str, values))

    return change


def _points(*args):
    def change(dataset):
        dataset.BeamSequence = [beam(points=control_points(*args))]

    return change


def _plan(**elements):
    def change(dataset):
        for name, value in elements.items():
            setattr(dataset, name, value)

    return change


def twice():
    found = group(beam1=100)
    found.ReferencedBeamSequence = 2 * list(found.ReferencedBeamSequence)
    found.NumberOfBeams = 2
    return found


REFUSED = [
    (_beam(RadiationType="ELECTRON"), "electrons"),
    (_beam(RadiationType="PROTON"), "protons"),
    (_beam(RadiationType=""), "does not say its radiation"),
    (_plan(IonBeamSequence=[item(BeamNumber=1)]), "ions"),
    (_beam(NumberOfWedges=1), "a wedge"),
    (_beam(WedgeSequence=[item(WedgeNumber=1)]), "a wedge"),
    (_beam(NumberOfBlocks=1), "a block"),
    (_beam(NumberOfCompensators=1), "a compensator"),
    (_beam(NumberOfBoli=1), "a bolus"),
    (_beam(ApplicatorSequence=[item(ApplicatorType="STEREOTACTIC")]), "an applicator"),
    (_beam(GeneralAccessorySequence=[item(GeneralAccessoryType="TRAY")]), "an accessory"),
    (_beam(PrimaryDosimeterUnit="MINUTE"), "MINUTE"),
    (
        _beam(BeamLimitingDeviceSequence=[item(RTBeamLimitingDeviceType="MLCX1")]),
        "device that is not known \\(MLCX1\\)",
    ),
    (_boundaries(-100, 0, 20, 100), "4 pairs of leaves and 4 leaf boundaries"),
    (_boundaries(-100, 20, 0, 20, 100), "do not rise"),
    (_boundaries(-30, -20, 0, 20, 100), "too few leaves"),
    (
        _first(BeamLimitingDevicePositionSequence=positions(leaves=(-30, 30))),
        "2 leaf positions .* need 8",
    ),
    (
        _first(BeamLimitingDevicePositionSequence=positions(leaves=(-3, -3, 9, -3, 3, 3, 3, 3))),
        "pair 3 cross",
    ),
    (_first(BeamLimitingDevicePositionSequence=positions(jaws_x=(20, -20))), "X jaws cross"),
    (_first(BeamLimitingDevicePositionSequence=positions(jaws_x=None)), "no position of .* ASYMX"),
    (_plan(FractionGroupSequence=[group(beam1=0)]), "0 MU"),
    (_plan(FractionGroupSequence=[group(beam1=-5)]), "-5 MU"),
    (_plan(FractionGroupSequence=[group(beam1="")]), "does not tell the meterset"),
    (
        _plan(FractionGroupSequence=[group(1, beam1=100), group(1, beam1=50)]),
        "two fraction groups of the number 1",
    ),
    (_plan(FractionGroupSequence=[twice()]), "group 1 of .* refers to beam 1 twice"),
    (_plan(FractionGroupSequence=[group(beam7=100)]), "not in the plan"),
    (_plan(FractionGroupSequence=[group(fractions=0, beam1=100)]), "0 fractions"),
    (
        _plan(FractionGroupSequence=[group(fractions="", beam1=100)]),
        "does not say in how many fractions",
    ),
    (_plan(FractionGroupSequence=[]), "how often"),
    (_plan(BeamSequence=[]), "has no beams"),
    (_plan(BeamSequence=[beam(1), beam(1)]), "two of one number"),
    (_points((0, 0.7, 0.5, 1), (1, None, None, None), ("NONE", None, None, None)), "fall"),
    (_points((0.2, 1), (1, None), ("NONE", None)), "from 0 to their final"),
    (_points((0,), (1,), ("NONE",)), "no final meterset weight"),
    (_beam(FinalCumulativeMetersetWeight="2"), "from 0 to their final"),
    (_beam(NumberOfControlPoints=5), "says that it has 5 control points, and holds 2"),
    (_points((0, 1), (10, 50), ("NONE", None)), "without a direction"),
    (_points((0, 1), (10, 50), ("UP", None)), "direction that is not known"),
    (_first(GantryRotationDirection="CW"), "stands at 10 degrees .* a whole turn or none"),
    (_last(IsocenterPosition=["1", "2", "9"]), "isocentre moves"),
    (_last(NominalBeamEnergy="15"), "energy changes"),
    (_last(BeamLimitingDeviceAngle="40"), "collimator .* turns"),
    (_last(PatientSupportAngle="40"), "couch .* turns"),
    (_first(TableTopPitchAngle=2.0), "TableTopPitchAngle"),
    (_first(IsocenterPosition=None), "no isocentre"),
    (_first(NominalBeamEnergy=None), "no nominal energy"),
    (_first(NominalBeamEnergy="0"), "nominal energy of 0 MV"),
    (_first(NominalBeamEnergy="-6"), "nominal energy of -6 MV"),
    (
        _plan(DoseReferenceSequence=[item(DoseReferenceType="TARGET", TargetPrescriptionDose="0")]),
        "prescribes 0 Gy",
    ),
    (
        _plan(
            DoseReferenceSequence=[item(DoseReferenceType="TARGET", TargetPrescriptionDose="5500")]
        ),
        "prescribes 5500 Gy to its target, which cannot be",
    ),
    (
        _plan(PatientSetupSequence=[item(PatientSetupNumber=1, PatientPosition="SITTING")]),
        "SITTING",
    ),
]


@pytest.mark.parametrize(("change", "told"), REFUSED)
def test_a_plan_that_cannot_be_calculated_is_refused_by_name(change, told, tmp_path):
    dataset = rtplan_dataset()
    change(dataset)
    with pytest.raises(SyntheticCTError, match=told) as refusal:
        read(dataset, tmp_path)
    sentence = str(refusal.value)
    assert "plan.dcm" in sentence and sentence.count(". ") == 0 and sentence.endswith(".")


def test_a_wedge_that_is_out_all_the_time_does_not_count(tmp_path):
    dataset = rtplan_dataset()
    _beam(NumberOfWedges=1, WedgeSequence=[item(WedgeNumber=1)])(dataset)
    _first(WedgePositionSequence=[item(ReferencedWedgeNumber=1, WedgePosition="OUT")])(dataset)
    assert len(read(dataset, tmp_path).beams) == 1
    _last(WedgePositionSequence=[item(ReferencedWedgeNumber=1, WedgePosition="IN")])(dataset)
    with pytest.raises(SyntheticCTError, match="wedge"):
        read(dataset, tmp_path)


def test_what_is_assumed_is_told(tmp_path):
    dataset = rtplan_dataset()
    dataset.PatientSetupSequence = []
    dataset.BeamSequence[0].SourceAxisDistance = None
    dataset.ApprovalStatus = "REJECTED"
    noted = NotedProgress(SILENT)
    plan = read(dataset, tmp_path, noted)
    assert plan.patient_position == "HFS" and plan.beams[0].source_axis_mm == 1000
    told = " ".join(noted.warnings)
    assert "head first" in told and "1000 mm is assumed" in told and "rejected" in told


def test_another_file_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(SyntheticCTError, match="does not exist"):
        read_plan(tmp_path / "none.dcm")
    (tmp_path / "text.dcm").write_text("no plan")
    with pytest.raises(SyntheticCTError, match="no DICOM RTPLAN"):
        read_plan(tmp_path / "text.dcm")


def test_a_plan_of_another_frame_of_reference_is_refused(tmp_path):
    plan = read(rtplan_dataset(), tmp_path)
    ct = sitk.Image(2, 2, 2, sitk.sitkInt16)
    noted = NotedProgress(SILENT)
    require_frame_of(plan, ct, noted)
    assert "Only the plan names its frame" in noted.warnings[0]
    ct.SetMetaData("FrameOfReferenceUID", "1.2.3.4")
    require_frame_of(plan, ct, noted)
    assert len(noted.warnings) == 1
    ct.SetMetaData("FrameOfReferenceUID", "9.9")
    with pytest.raises(SyntheticCTError, match="different frames of reference"):
        require_frame_of(plan, ct)
