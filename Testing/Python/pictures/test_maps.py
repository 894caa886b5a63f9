"""Pictures show what their words say, in colour and without."""

from __future__ import annotations

import dataclasses
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from evaluations import made_evaluation
from PIL import Image
from SyntheticCTEvalLib.dose.difference import NO_DOSE_DIFFERENCE
from SyntheticCTEvalLib.evaluation.names import shown_names, told
from SyntheticCTEvalLib.gamma.hot_spots import HotSpot
from SyntheticCTEvalLib.pictures import dose_maps
from SyntheticCTEvalLib.pictures.board import Board
from SyntheticCTEvalLib.pictures.charts import gamma_chart
from SyntheticCTEvalLib.pictures.contours import MOST, TARGET_COLOUR, Contours
from SyntheticCTEvalLib.pictures.maps import FAILS_COLOUR, anatomy_picture
from SyntheticCTEvalLib.pictures.normalisation import normalised, whole_dose
from SyntheticCTEvalLib.pictures.places import (
    largest_dose_difference,
    largest_places,
    worst_gamma,
)
from SyntheticCTEvalLib.pictures.planes import planes_of
from SyntheticCTLib.volumes.grids import image_like
from SyntheticCTLib.volumes.marks import PHANTOM_KEY, label_synthetic

SHAPE = (10, 30, 40)  # of the evaluation's grids


def _pixels(picture, mode="RGB"):
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert(mode)).astype(int)


def _is(picture, colour, within=50):
    """Where a picture has a colour (#RRGGBB)."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return np.abs(_pixels(picture) - wanted).max(axis=2) < within


def _evaluation(**options):
    evaluation = made_evaluation(**{"names": ("sCT",), "mr": False, **options})
    return evaluation, evaluation.candidates["sCT"]


def _set_gamma(evaluation, candidate, values):
    candidate.gamma = dataclasses.replace(
        candidate.gamma,
        gamma=image_like(values.astype(np.float32), evaluation.ct),
        evaluated=image_like((values >= 0).astype(np.uint8), evaluation.ct),
    )


def _difference(evaluation, candidate, values):
    candidate.dose_difference = image_like(values.astype(np.float32), evaluation.ct)
    true = sitk.GetArrayFromImage(evaluation.dose_ct)
    candidate.dose = image_like((true + values).astype(np.float32), evaluation.ct)


def _largest(evaluation):
    return dose_maps.largest_difference_picture(evaluation, largest_places(evaluation))


@pytest.fixture
def written(monkeypatch):
    """What boards write beside their panels: heads, titles, names, keys; they are not painted."""
    texts = []
    monkeypatch.setattr(Board, "png", lambda self: b"")
    own = Board._text

    def text(self, x, y, words, *arguments, **style):
        drawn = own(self, x, y, words, *arguments, **style)
        texts.append(drawn)
        return drawn

    monkeypatch.setattr(Board, "_text", text)
    return texts


def _words(texts):
    return [text.get_text() for text in texts]


def test_failing_voxels_are_marked_in_colour_and_in_grey_and_others_are_not():
    evaluation, candidate = _evaluation(structures=False)
    cuts, shares, white = planes_of(evaluation), {}, {}
    for value in (-1.0, 1.0, 1.5):
        _set_gamma(evaluation, candidate, np.full(SHAPE, value))
        picture = dose_maps.gamma_picture(evaluation, cuts)
        shares[value] = _is(picture, FAILS_COLOUR).mean()
        panel = _pixels(picture, "L")[40:-60, 60:300]
        white[value] = (panel > 240).mean()
    assert shares[1.5] > 0.2
    assert max(shares[-1.0], shares[1.0]) < 0.01
    assert white[1.5] > white[1.0] + 0.1


def test_the_planes_go_through_the_largest_difference_of_each_candidate(written):
    evaluation, candidate = _evaluation(structures=False)
    values = np.zeros(SHAPE)
    values[4, 14, 21] = -3.0
    values[5, 15, 19] = 2.0
    values[5, 15, 20] = 40.0  # not known, as below
    _difference(evaluation, candidate, values)
    found = sitk.GetArrayFromImage(candidate.dose_difference)
    found[5, 15, 20] = NO_DOSE_DIFFERENCE
    candidate.dose_difference = image_like(found, evaluation.ct)
    place = largest_dose_difference(evaluation, candidate)
    point = evaluation.ct.TransformIndexToPhysicalPoint((21, 14, 4))
    assert place.point_mm == pytest.approx(point)
    assert place.difference_gy == pytest.approx(-3.0)
    evaluation.prescription_kind = "planned"
    picture = _largest(evaluation)
    dose = sitk.GetArrayViewFromImage(evaluation.dose_ct)[4, 14, 21]
    share = dose / 45 * 100
    words = _words(written)
    assert (
        f"sCT: \N{MINUS SIGN}3.00 Gy (\N{MINUS SIGN}6.67 %), at {dose:.2f} Gy ({share:.0f} %)"
        in (words[1])
    )
    assert {f"Axial, I {-point[2]:.0f} mm", f"Sagittal, L {point[0]:.0f} mm"} <= set(words)
    assert "above 10 % of the planned prescription of 45 Gy" in picture.caption
    assert "ring" in picture.caption


def test_the_largest_difference_lies_in_the_body_and_above_the_cutoff():
    evaluation, candidate = _evaluation(structures=False)
    values = np.zeros(SHAPE)
    values[5, 0, 0] = 9.0  # in the air
    values[5, 15, 34] = 8.0  # in the body, below 10 %
    values[5, 15, 22] = 1.0
    _difference(evaluation, candidate, values)
    evaluated = sitk.GetArrayFromImage(candidate.gamma.gamma)
    evaluated[5, 0, 0] = 0.5
    _set_gamma(evaluation, candidate, evaluated)
    assert evaluated[5, 15, 34] < 0
    assert largest_dose_difference(evaluation, candidate).difference_gy == pytest.approx(1.0)
    _difference(evaluation, candidate, np.zeros(SHAPE))
    assert largest_dose_difference(evaluation, candidate) is None
    assert largest_places(evaluation) == {}


def test_a_place_tells_how_near_the_edge_of_the_body_it_is():
    evaluation, candidate = _evaluation(structures=False)
    row = sitk.GetArrayViewFromImage(evaluation.body)[5, 15]
    last = int(np.flatnonzero(row)[-1])
    for column, depth in ((last, 6.0), (last - 1, 12.0), (20, None)):
        values = np.zeros(SHAPE)
        values[5, 15, column] = 5.0
        _difference(evaluation, candidate, values)
        _set_gamma(evaluation, candidate, np.full(SHAPE, 0.5))
        assert largest_dose_difference(evaluation, candidate).depth_mm == depth


def test_the_planes_go_through_the_worst_hot_spot_and_say_its_gamma_and_dose(written):
    evaluation, candidate = _evaluation(structures=False)
    gamma = np.full(SHAPE, 0.2)
    gamma[2, 10, 15] = 1.9
    gamma[6, 16:18, 22:24] = 1.8
    gamma[6, 17, 23] = 1.85
    _set_gamma(evaluation, candidate, gamma)
    _difference(evaluation, candidate, np.full(SHAPE, 0.5))
    point = evaluation.ct.TransformIndexToPhysicalPoint((23, 17, 6))
    place = worst_gamma(evaluation, candidate)
    assert place.point_mm == pytest.approx(point)
    assert place.gamma == pytest.approx(1.85)
    dose_maps.worst_gamma_picture(evaluation)
    dose = sitk.GetArrayViewFromImage(evaluation.dose_ct)[6, 17, 23]
    assert _words(written)[1].startswith(
        f"sCT: gamma 1.85, hot spot of 1.2 cm³; on the true CT {dose:.2f} Gy "
        f"({dose / 45 * 100:.0f} %), +0.50 Gy"
    )
    assert f"Coronal, {'P' if point[1] > 0 else 'A'} {abs(point[1]):.0f} mm" in _words(written)
    candidate.hot_spots = [
        HotSpot(evaluation.ct.TransformIndexToPhysicalPoint((15, 10, 2)), 1.9, 0.29, 9.0)
    ]
    assert worst_gamma(evaluation, candidate).gamma == pytest.approx(1.9)


@pytest.mark.parametrize(
    ("gamma", "said"), [(0.83, "largest gamma 0.83, no voxel fails"), (2.0, "gamma at least 2.00,")]
)
def test_gamma_that_passes_and_gamma_at_its_cap_are_said_to_be_so(written, gamma, said):
    evaluation, candidate = _evaluation(structures=False)
    values = np.full(SHAPE, 0.2)
    values[5, 15, 20] = gamma
    _set_gamma(evaluation, candidate, values)
    dose_maps.worst_gamma_picture(evaluation)
    assert said in _words(written)[1]


def test_the_ring_is_drawn_around_the_place():
    """Left out, exactly pixels around it change."""
    evaluation, candidate = _evaluation(structures=False)
    values = np.zeros(SHAPE)
    values[4, 14, 21] = 3.0
    _difference(evaluation, candidate, values)
    with_ring = _pixels(_largest(evaluation), "L")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Board, "ring", lambda *a: None)
        without = _pixels(_largest(evaluation), "L")
    changed = np.argwhere(with_ring != without)
    assert len(changed)
    columns = np.unique(changed[:, 1])
    groups = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    assert len(groups) == 3
    assert all(len(group) < 40 for group in groups)


def test_isodoses_are_labelled_in_percent_and_gray_and_differ_in_line(written):
    evaluation, _ = _evaluation(structures=False)
    dose_maps.dose_picture(evaluation, planes_of(evaluation))
    words = _words(written)
    for percent, gray in ((10, "4.5"), (30, "13.5"), (60, "27.0"), (80, "36.0"), (95, "42.8")):
        assert f"{percent} % ({gray} Gy)" in words
    assert len(set(map(str, dose_maps.ISODOSES.values()))) == len(dose_maps.ISODOSES)


def test_structures_are_drawn_in_lines_of_their_own_and_listed_up_to_eight(written):
    evaluation, _ = _evaluation()
    target = evaluation.structures["PTV & nodes"]
    evaluation.structures |= {f"organ {n}": target for n in range(9)}
    evaluation.structures["elsewhere"] = target * 0
    evaluation.structures["outline"] = evaluation.body
    contours = Contours(evaluation, planes_of(evaluation))
    (keys,) = contours.keys
    names = [key.label for key in keys.keys]
    assert names == ["1 PTV & nodes", "2 bladder", *(f"{n + 3} organ {n}" for n in range(6))]
    assert len(names) == MOST
    assert len({str(key.line) for key in keys.keys}) == MOST
    picture = dose_maps.gamma_picture(evaluation, planes_of(evaluation))
    assert set(names) <= set(_words(written))
    assert "3 more structures that the planes cut are not drawn" in picture.caption


def test_no_structure_of_the_ct_is_drawn_over_an_mr_that_was_not_registered():
    evaluation = made_evaluation(names=("sCT",), dose=False)
    picture = anatomy_picture(evaluation, planes_of(evaluation))
    drawn = _is(picture, TARGET_COLOUR)
    rows = len(drawn)
    assert drawn[rows // 2 :].any()
    assert not drawn[: rows // 4].any()
    assert "no structure of the CT is drawn over it" in picture.caption
    evaluation.mr_registered = image_like(sitk.GetArrayFromImage(evaluation.ct), evaluation.ct)
    picture = anatomy_picture(evaluation, planes_of(evaluation))
    assert _is(picture, TARGET_COLOUR)[: rows // 4].any()
    assert "no structure of the CT" not in picture.caption


def test_no_text_of_a_board_lies_over_a_panel_or_beyond_the_edge(written, monkeypatch):
    name = "a synthetic CT with a name of many words (2026)"
    evaluation = made_evaluation(names=(name, "MRCAT"))
    evaluation.structures["an organ at risk with a very long name"] = evaluation.structures[
        "bladder"
    ]
    boards = []
    monkeypatch.setattr(Board, "png", lambda self: boards.append(self) or b"")
    cuts = planes_of(evaluation)
    dose_maps.dose_picture(evaluation, cuts)
    _largest(evaluation)
    dose_maps.worst_gamma_picture(evaluation)
    assert len(boards) == 3
    for board in boards:
        page = board.figure.bbox
        drawn = [axes for row in board.axes for axes in row]
        panels = [axes.bbox.frozen() for axes in drawn]
        texts = [text for text in written if text.figure is board.figure]
        boxes = [text.get_window_extent() for text in texts]
        bars = [axes for axes in board.figure.axes if axes not in drawn]
        boxes += [axes.get_tightbbox() for axes in bars]
        for number, box in enumerate(boxes):
            assert page.x0 <= box.x0
            assert box.x1 <= page.x1
            assert page.y0 <= box.y0
            assert box.y1 <= page.y1
            assert not any(box.overlaps(panel) for panel in panels)
            assert not any(box.overlaps(other) for other in boxes[:number])


@pytest.mark.parametrize(
    ("kind", "short", "sentence"),
    [
        ("given", "given prescription", "100 % is the given prescription of 45 Gy."),
        ("planned", "planned prescription", "100 % is the planned prescription of 45 Gy."),
        ("assumed", "assumed prescription", "100 % is an assumed prescription of 45 Gy."),
        ("largest", "largest dose", "No prescription is known: doses are normalised to 45.00 Gy, "
                                    "the largest dose on the true CT."),
    ],
)  # fmt: skip
def test_what_is_100_percent_is_named_everywhere(kind, short, sentence, written):
    evaluation, _ = _evaluation(structures=False)
    evaluation.prescription_kind = kind
    assert normalised(evaluation) == short
    assert whole_dose(evaluation) == sentence
    if kind in ("given", "assumed"):  # worded like one that follows
        return
    cuts = planes_of(evaluation)
    words = re.split(" is | to ", sentence.rstrip("."))[-1]
    for picture in (
        dose_maps.dose_picture(evaluation, cuts),
        dose_maps.dose_difference_picture(evaluation, cuts),
        gamma_chart(evaluation),
    ):
        assert words in picture.caption
        assert ("prescription of" in picture.caption) == (kind != "largest")


def test_a_look_alike_is_called_so_and_nothing_else_is():
    names = ("MRCAT", "MRCAT look-alike", "mrcat 2", "bulk", "real MRCAT")
    candidates = {
        name: SimpleNamespace(volume=sitk.Image(2, 2, 2, sitk.sitkInt16)) for name in names
    }
    evaluation = SimpleNamespace(candidates=candidates)
    for name in names[:-1]:
        volume = label_synthetic(evaluation.candidates[name].volume)
        volume.SetMetaData(PHANTOM_KEY, "7")
    shown = shown_names(evaluation)
    assert shown == {
        "MRCAT": "MRCAT look-alike 2",
        "MRCAT look-alike": "MRCAT look-alike",
        "mrcat 2": "mrcat 2 look-alike",
        "bulk": "bulk",
        "real MRCAT": "real MRCAT",
    }
    shown = {"MRCAT": "MRCAT look-alike"}
    for text, wanted in (
        ("MRCAT was registered.", "MRCAT look-alike was registered."),
        ("The file MRCAT.nrrd of MRCAT.", "The file MRCAT.nrrd of MRCAT look-alike."),
        ("MRCAT is an MRCAT look-alike", "MRCAT look-alike is an MRCAT look-alike"),
        ("dose_MRCAT, out/MRCAT, MRCAT-2", "dose_MRCAT, out/MRCAT, MRCAT-2"),
    ):
        assert told(text, shown) == wanted
