"""Plans that a cohort and an evaluation make: SIB by Monte Carlo, the study's Table 2 in small."""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from beams import coordinates, cylinder
from montecarlo_cases import gaussian_scattering
from schemas import COHORT, PATIENT, hold
from SyntheticCTEvalLib.cohort import parallel
from SyntheticCTEvalLib.delivery.dose import recalculate_plan
from SyntheticCTEvalLib.dose.electron_density import ELECTRON_DENSITY
from SyntheticCTEvalLib.dose.overrides import Override
from SyntheticCTEvalLib.evaluation import one_patient
from SyntheticCTEvalLib.montecarlo import doses
from SyntheticCTEvalLib.montecarlo.batches import Effort
from SyntheticCTEvalLib.plan.reading import read_plan
from SyntheticCTEvalLib.planning import treatment
from SyntheticCTEvalLib.planning.request import PlanRequest, parse_levels
from SyntheticCTEvalLib.planning.treatment import planned_treatment, read_planned
from SyntheticCTEvalLib.report import folder as report_folder
from SyntheticCTEvalLib.report import pdf
from SyntheticCTEvalLib.report.folder import earlier_results
from SyntheticCTEvalLib.structures.reading import read_structures
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.progress import SILENT
from SyntheticCTLib.body.contour import body_contour
from SyntheticCTLib.dicom.frame_of_reference import POSITION
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.mask_folder import write_masks
from SyntheticCTProgram.program import main

LEVELS = "PTV45=45;PTV55=55"
MONTE_CARLO = ("--dose-engine", "montecarlo", "--dose-spacing", "10")


def write_targets(folder, ct, radius_mm=28.0):
    x, y, z = coordinates(ct)
    away = np.sqrt(x**2 + y**2 + z**2)
    masks = {"PTV45": away < radius_mm, "PTV55": away < 16, "Bladder": np.hypot(x, y + 40) < 12}
    found = {name: image_like(mask.astype(np.uint8), ct) for name, mask in masks.items()}
    write_masks(found, folder)


def write_manifest(folder, **more):
    row = {"patient": "p1", "ct": "ct.nrrd", "candidate_MRCAT": "denser.nrrd"}
    row |= {"structures": "masks", "levels": LEVELS} | more
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerow(row)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A cylinder and one that is 30 HU denser; little effort for plan and dose."""
    folder = tmp_path_factory.mktemp("planned")
    ct, body = cylinder()
    sitk.WriteImage(ct, str(folder / "ct.nrrd"))
    denser = ct + 30 * sitk.Cast(body, ct.GetPixelID())
    sitk.WriteImage(denser, str(folder / "denser.nrrd"))
    write_targets(folder / "masks", ct)
    quick = {"segments": 12, "gantry_step_deg": 30.0, "iterations": (8,), "spacing_mm": 8.0}
    made = []

    def counted(*arguments, **options):
        made.append(arguments)
        options["effort"] = treatment.Effort(**quick)
        return make_plan(*arguments, **options)

    make_plan = treatment.make_plan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(treatment, "make_plan", counted)
        patch.setattr(doses, "scattering_tables", gaussian_scattering)
        patch.setattr(pdf, "missing", lambda: "no PDF here")
        # The pencil beam that Monte Carlo's difference is held against: few angles as well.
        patch.setattr(recalculate_plan, "__defaults__", (SILENT, 30.0, ELECTRON_DENSITY))
        patch.setattr(
            one_patient, "Effort", functools.partial(Effort, candidates=20_000, batches=6)
        )
        write_manifest(folder)
        yield SimpleNamespace(folder=folder, made=made, ct=ct)


def run(case, *more, output="study"):
    start = ["cohort", str(case.folder / "manifest.csv"), "--output", str(case.folder / output)]
    return main([*start, "--no-registration", "--workers", "1", *more])


@pytest.fixture(scope="module")
def study(case):
    assert run(case, *MONTE_CARLO) == 0
    return case.folder / "study"


def test_the_plan_is_made_kept_and_told(case, study):
    patient = study / "patients" / "p1"
    plan = read_plan(patient / "plan.dcm")
    told = {level.name: level.dose_gy for level in plan.prescription}
    assert told == {"PTV55": 55.0, "PTV45": 45.0}
    metrics = json.loads((patient / "metrics.json").read_text(encoding="utf-8"))
    hold(metrics, PATIENT)
    table = json.loads((patient / "plan.json").read_text(encoding="utf-8"))
    assert metrics["plan"]["targets"] == table["targets"]
    assert min(own["D95"] / own["level_gy"] for own in table["targets"].values()) > 0.9
    # Gamma refers to the plan's highest level, as nothing else is given, and says so.
    assert (metrics["prescription_gy"], metrics["prescription_kind"]) == (55, "planned")
    assert (
        metrics["definitions"]["prescription_gy"] == "The highest level that the plan prescribes."
    )
    assert metrics["target"] == "PTV55"
    assert "2 arcs for PTV55 55 Gy, PTV45 45 Gy" in metrics["definitions"]["plan"]
    sha256 = hashlib.sha256((patient / "plan.dcm").read_bytes()).hexdigest()
    kept = metrics["origin"]["inputs"]["plan made on the CT"]
    assert kept == {"file": "plan.dcm", "sha256": sha256} and table["plan_sha256"] == sha256
    page = (patient / "report.html").read_text(encoding="utf-8")
    # Of PTV45, 95 % of its own 45 Gy and of the prescription of 55 Gy are two figures.
    for text in ("Plan that was made on the true CT", "V95% of level in %", "V95% of 55 Gy"):
        assert text in page
    # It was made on this CT: nothing is to be checked.
    assert not any("frame of reference: check" in note for note in metrics["notes"])


def test_noise_and_bias_of_pass_rates_stand_in_table_2_and_are_compared_with_nothing(study):
    with (study / "table2.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    figures = [row["figure"] for row in rows]
    assert figures == [
        f"{name}, dose above {cutoff} % ({gray} Gy)"
        for cutoff, gray in ((10, "5.5"), (60, "33"))
        for name in (
            "Gamma pass rate 1 %/1 mm",
            "Noise of the gamma pass rate",
            "Bias of the gamma pass rate by noise",
        )
    ]
    found = json.loads((study / "metrics.json").read_text(encoding="utf-8"))
    hold(found, COHORT)
    entry = found["patients"]["p1"]["candidates"]["MRCAT"]
    told = [
        entry[key][cutoff] for cutoff in ("10", "60") for key in ("gpr", "gpr_noise", "gpr_bias")
    ]
    assert [float(row["p1"]) for row in rows] == pytest.approx(told, abs=0.01)
    assert not any("noise" in one["figure"] for one in found["statistics"])
    for file in ("table2.html", "table2.tex", "report.html"):
        text = (study / file).read_text(encoding="utf-8")
        assert "Noise of the gamma pass rate" in text and "Bias of the gamma pass rate" in text
        assert "the noise of a mean pass rate is smaller" in " ".join(text.split())
    for file in ("table2.html", "report.html"):
        assert found["definitions"]["gpr_noise"] in (study / file).read_text(encoding="utf-8")
    assert set(found["patients"]["p1"]["plan"]["targets"]) == {"PTV45", "PTV55"}


def test_a_second_run_takes_what_is_there_and_offers_earlier_plans(case, study, monkeypatch):
    assert len(case.made) == 1
    assert run(case, *MONTE_CARLO) == 0  # nothing has changed
    offered = []

    def stand_in(task, progress):
        offered.append(task.earlier)
        raise SyntheticCTError("That is enough.")

    monkeypatch.setattr(parallel, "evaluate_patient", stand_in)
    for more in ((), ("--redo",)):
        assert run(case, *MONTE_CARLO, "--criteria", "2/2", *more) == 2
    assert offered == [study.resolve() / "patients" / "p1", None]
    assert len(case.made) == 1


def test_a_plan_that_is_there_is_taken_where_it_was_made_of_the_same_and_is_whole(case, study):
    earlier = study / "patients" / "p1"
    structures = read_structures(case.folder / "masks", case.ct)
    request = PlanRequest(parse_levels(LEVELS))

    def planned(ct=case.ct, structures=structures, request=request):
        return planned_treatment(ct, structures, request, earlier=earlier)

    assert planned().dicom == (earlier / "plan.dcm").read_bytes()
    smaller = structures | {"PTV55": structures["PTV55"] & structures["Bladder"]}
    warmer = case.ct + 1
    for changed in (
        {"structures": smaller},
        {"ct": warmer},
        {"request": dataclasses.replace(request, fractions=20)},
        {"request": dataclasses.replace(request, objectives=())},
        {"request": PlanRequest(parse_levels("PTV45=45;PTV55=54"))},
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(treatment, "make_plan", refuse)
            with pytest.raises(SyntheticCTError, match="asked for"):
                planned(**changed)
    whole = (earlier / "plan.dcm").read_bytes()
    (earlier / "plan.dcm").write_bytes(whole[:-1])
    assert read_planned(earlier) is None
    (earlier / "plan.dcm").write_bytes(whole)
    assert read_planned(earlier).dicom == whole


def test_a_plan_is_made_with_the_numbers_and_the_position_that_dose_is_calculated_with(case):
    """Feet first, and with a bladder of metal, as the override says."""
    ct = sitk.Image(case.ct)
    ct.SetMetaData(POSITION, "FFS")
    structures = read_structures(case.folder / "masks", ct)
    seen = []

    def stand_in(ct, body, *_, patient_position, **__):
        seen.append((sitk.GetArrayFromImage(ct)[bladder], patient_position))
        raise SyntheticCTError("A plan was asked for.")

    bladder = sitk.GetArrayViewFromImage(structures["Bladder"]) != 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(treatment, "make_plan", stand_in)
        for overrides in ((), (Override("Bladder", 3000.0),)):
            with pytest.raises(SyntheticCTError, match="asked for"):
                planned_treatment(
                    ct, structures, PlanRequest(parse_levels(LEVELS)), overrides=overrides
                )
        longer = (*ELECTRON_DENSITY, (20000.0, 9.0))
        for curve, told in ((longer, "asked for"), (ELECTRON_DENSITY, "goes from -1000 to 3071")):
            with pytest.raises(SyntheticCTError, match=told):
                planned_treatment(
                    ct,
                    structures,
                    PlanRequest(parse_levels(LEVELS)),
                    overrides=(Override("Bladder", 8000.0),),
                    curve=curve,
                )
    (before, position), (after, _), (metal, _) = seen
    assert (metal == 3071).all()  # where the curve that plans are made by ends
    assert position == "FFS" and before.max() < 3000 and (after == 3000).all()


def test_a_couch_is_planned_with_by_the_curve_that_plans_are_made_by(case):
    """A curve of one's own is Monte Carlo's; voxels that a couch fills in part showed it."""
    structures = {"couch": thin_slab_behind(case.ct)}
    request = PlanRequest((("couch", 45.0),))
    own = (*((hu, 0.2 * density) for hu, density in ELECTRON_DENSITY[:-1]), (3071.0, 2.5))
    seen = []

    def stand_in(ct, *_, **__):
        seen.append(sitk.GetArrayFromImage(ct))
        raise SyntheticCTError("A plan was asked for.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(treatment, "make_plan", stand_in)
        for curve in (ELECTRON_DENSITY, own):
            with pytest.raises(SyntheticCTError, match="asked for"):
                planned_treatment(
                    case.ct,
                    structures,
                    request,
                    overrides=(Override("couch", -100.0, couch=True),),
                    curve=curve,
                )
    before, after = seen
    assert ((before > -900) & (before < -200)).any() and np.array_equal(before, after)


def thin_slab_behind(ct):
    """A mask of a third of a voxel's thickness, behind the patient."""
    size, (x, y, z) = ct.GetSize(), ct.GetSpacing()
    mask = sitk.Image(size[0], 3 * size[1], size[2], sitk.sitkUInt8)
    mask.SetSpacing((x, y / 3, z))
    mask.SetOrigin(ct.TransformContinuousIndexToPhysicalPoint((0.0, -1 / 3, 0.0)))
    behind = np.argwhere(sitk.GetArrayFromImage(body_contour(ct, "CT")).any(axis=(0, 2))).max()
    row = 3 * (int(behind) + 3)
    mask[size[0] // 4 : size[0] // 2, row : row + 1, :] = 1
    return mask


def refuse(*_, **__):
    raise SyntheticCTError("A plan was asked for.")


@pytest.mark.parametrize(
    ("row", "options", "told"),
    [
        ({"levels": "PTV=45"}, (), "no structure PTV to plan for"),
        ({"levels": "PTV45=many"}, (), "no number"),
        ({"levels": "PTV45=4500"}, (), "prescribed 4500 Gy"),
        ({"levels": "PTV45=45;PTV45=50"}, (), "twice"),
        ({"levels": "PTV45"}, (), "names no target and its dose"),
        ({"structures": ""}, (), "column structures"),
        ({"plan": "plan.dcm"}, (), "a plan as well"),
        ({"levels": ""}, MONTE_CARLO, "column levels"),
        ({"levels": ""}, ("--target", "CTV=45"), "no structure CTV"),
        ({"levels": ""}, ("--target", "PTV45"), "names no target and its dose"),
        ({"levels": ""}, ("--fractions", "20"), "--fractions says how a plan is made"),
        ({}, ("--no-dose", "--arcs", "1"), "--arcs says how a plan is made"),
        ({}, ("--no-dose", "--target", "PTV45=45"), "--no-dose wants none"),
        ({}, ("--dose-minutes", "5"), "--dose-minutes says when Monte Carlo stops"),
    ],
)
def test_what_cannot_be_planned_is_refused_before_the_work(case, capsys, row, options, told):
    (case.folder / "plan.dcm").write_bytes(b"a plan")
    write_manifest(case.folder, **row)
    before = len(case.made)
    assert run(case, *options, "--dry-run", output="none") == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert run(case, *options, output="none") == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert len(case.made) == before


def test_an_option_plans_for_all_patients_and_a_dry_run_says_so(case, capsys):
    write_manifest(case.folder, levels="")
    targets = ("--target", "PTV55=50", "--target", "PTV45=40", "--fractions", "20", "--arcs", "1")
    assert run(case, *targets, "--dry-run", output="none") == 0
    said = " ".join("".join(capsys.readouterr()).split())
    assert "made on the true CT: 1 arc for PTV55 50 Gy, PTV45 40 Gy in 20 fractions" in said
    assert "50 Gy. The highest level that the plan prescribes." in said


def test_how_a_plan_is_made_counts_for_levels_of_the_manifest_too(case, capsys):
    write_manifest(case.folder)
    assert run(case, "--fractions", "20", "--dry-run", output="none") == 0
    assert "in 20 fractions" in " ".join("".join(capsys.readouterr()).split())


def evaluated(case, *more):
    start = ["evaluate", "--ct", str(case.folder / "ct.nrrd"), "--no-registration", "--no-scene"]
    start += ["--candidate", f"MRCAT={case.folder / 'denser.nrrd'}", *MONTE_CARLO]
    return main([*start, "--output", str(case.folder / "one"), *more])


def test_evaluate_makes_a_plan_and_refuses_what_contradicts_it(case, capsys, monkeypatch):
    monkeypatch.setattr(report_folder, "document_of", lambda *_: None)
    monkeypatch.setattr(report_folder, "write_page", lambda _, path: path.write_text("a report"))
    targets = ("--target", "PTV45=45", "--target", "PTV55=55")
    structures = ("--structures", str(case.folder / "masks"))
    for more, told in (
        ((*structures, "--plan", "plan.dcm"), "give one of them"),
        ((*structures, "--no-dose"), "--no-dose"),
        ((), "give --structures"),
    ):
        assert evaluated(case, *targets, *more) == 2
        assert told in " ".join(capsys.readouterr().err.split())
    (case.folder / "one").mkdir()
    (case.folder / "one" / "plan.dcm").write_bytes(b"the user's own")
    assert evaluated(case, *targets, *structures) == 2
    assert "holds plan.dcm" in capsys.readouterr().err
    (case.folder / "one" / "plan.dcm").unlink()
    assert evaluated(case, *targets, *structures, "--prescription", "45") == 0
    metrics = json.loads((case.folder / "one" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["plan"]["plan_sha256"] and metrics["prescription_kind"] == "given"
    assert any("the plan's highest level is 55 Gy" in note for note in metrics["notes"])
    # The next evaluation takes away what this one has written, and nothing else.
    names = {path.name for path in earlier_results(case.folder / "one")}
    assert {"plan.dcm", "plan.json"} <= names
    del metrics["plan"]
    (case.folder / "one" / "metrics.json").write_text(json.dumps(metrics))
    assert not {"plan.dcm", "plan.json"} & {
        path.name for path in earlier_results(case.folder / "one")
    }
