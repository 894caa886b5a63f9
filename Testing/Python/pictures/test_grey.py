"""Pictures that are read without colour: signs on differences, numbers on contours, the tail."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from evaluations import made_evaluation
from matplotlib.collections import PathCollection
from SyntheticCTEvalLib.pictures import charts, dose_maps, maps
from SyntheticCTEvalLib.pictures.board import Board
from SyntheticCTEvalLib.pictures.contours import Contours
from SyntheticCTEvalLib.pictures.planes import planes_of
from SyntheticCTLib.volumes.grids import image_like


@pytest.fixture
def boards(monkeypatch):
    """Boards that are drawn, as they are before they become pixels."""
    found = []
    monkeypatch.setattr(Board, "png", lambda self: found.append(self) or b"")
    return found


def _evaluation(**options):
    return made_evaluation(**{"names": ("sCT",), "mr": False, **options})


def _signs(board, row=0):
    """Places (column, row) of + and of − in each panel of a row."""
    marks = []
    for axes in board.axes[row]:
        drawn = [c for c in axes.collections if isinstance(c, PathCollection)]
        plus = [c.get_offsets() for c in drawn if len(c.get_paths()[0].vertices) == 4]
        minus = [c.get_offsets() for c in drawn if len(c.get_paths()[0].vertices) == 2]
        marks.append([np.vstack(found) if found else np.empty((0, 2)) for found in (plus, minus)])
    return marks


@pytest.mark.parametrize("kind", ["dose", "CT number"])
def test_signs_stand_on_their_own_side_and_on_that_alone(boards, kind):
    evaluation = _evaluation(structures=False)
    candidate = evaluation.candidates["sCT"]
    side = np.sign(np.arange(40) - 19.5).astype(np.float32)  # minus on the patient's right
    values = np.broadcast_to(side, evaluation.ct.GetSize()[::-1])
    cuts = planes_of(evaluation)
    if kind == "dose":
        dose = sitk.GetArrayFromImage(evaluation.dose_ct)
        candidate.dose = image_like((dose + 0.5 * values).astype(np.float32), evaluation.ct)
        picture = dose_maps.dose_difference_picture(evaluation, cuts)
        assert f"(+ beyond {dose_maps.DOSE_SIGN_PERCENT} %)" in picture.caption
    else:
        candidate.difference = image_like((80 * values).astype(np.float32), evaluation.ct)
        picture = maps.difference_picture(evaluation, cuts)
        assert f"beyond {maps.SIGN_HU} HU" in picture.caption
    (board,) = boards
    plane = board.planes[0][0]
    middle = plane.pixel_of(evaluation.ct.TransformContinuousIndexToPhysicalPoint((19.5, 0, 0)))[0]
    plus, minus = _signs(board)[0]
    assert len(plus) > 20 and len(minus) > 20
    assert (plus[:, 0] > middle).all() and (minus[:, 0] < middle).all()
    labels = [text.get_text() for text in board.figure.texts]
    assert "Signs" in labels and any(label.startswith("above +") for label in labels)


def test_what_agrees_has_no_sign_and_a_small_spot_has_one(boards):
    evaluation = _evaluation(structures=False)
    plane = planes_of(evaluation)[0]
    board = Board([plane], ["row"])
    values = np.full(board.shape(0, 0), 0.4)
    board.signs(0, 0, values, 0.5)
    assert [len(found) for found in _signs(board)[0]] == [0, 0]
    values[31:43, 33:45] = -0.7
    values[40, 40] = -0.9
    board.signs(0, 0, values, 0.5)
    plus, minus = _signs(board)[0]
    assert len(plus) == 0 and 0 < len(minus) <= 4
    assert ((minus >= 31) & (minus < 45)).all()


def test_contours_carry_their_numbers_on_them_and_apart_from_each_other(boards):
    evaluation = _evaluation()
    ct = evaluation.ct
    z, y, x = np.meshgrid(np.arange(10), np.arange(30), np.arange(40), indexing="ij")
    evaluation.structures = {
        f"organ {n}": image_like(
            ((np.hypot(x - 8 - 3.2 * n, y - 15) < 1.6 + n % 3) & (z > 1)).astype(np.uint8), ct
        )
        for n in range(8)
    }
    cuts = planes_of(evaluation)
    contours = Contours(evaluation, cuts)
    (keys,) = contours.keys
    assert [key.label for key in keys.keys] == [f"{n + 1} organ {n}" for n in range(8)]
    assert len({(str(key.line), key.width) for key in keys.keys}) == 8
    board = Board(cuts, ["row"])
    contours.draw(board)
    for column, plane in enumerate(cuts[:1]):
        numbers = [t for t in board.axes[0][column].texts if t.get_text().isdigit()]
        assert sorted(t.get_text() for t in numbers) == [str(n + 1) for n in range(8)]
        places = {t.get_text(): np.array(t.xy) for t in numbers}
        for n in range(8):
            share = plane.mask(evaluation.structures[f"organ {n}"])
            c, r = places[str(n + 1)]
            near = share[max(0, int(r) - 2) : int(r) + 4, max(0, int(c) - 2) : int(c) + 4]
            assert near.min() < 0.5 < near.max()  # on the edge
        found = np.array(list(places.values()))
        apart = np.linalg.norm(found[:, None] - found[None], axis=2)[~np.eye(8, dtype=bool)]
        assert apart.min() > 8


def test_the_tail_of_gamma_is_seen_and_its_limit_is_marked(monkeypatch):
    drawn = []
    monkeypatch.setattr(charts, "figure_png", lambda figure: drawn.append(figure) or b"")
    evaluation = _evaluation(structures=False)
    candidate = evaluation.candidates["sCT"]
    gamma = np.full(evaluation.ct.GetSize()[::-1], 0.1, np.float32)
    gamma[5, 15, 20] = 1.72  # one voxel of 12000
    evaluated = image_like(np.ones(gamma.shape, np.uint8), evaluation.ct)
    candidate.gamma = SimpleNamespace(
        **{**vars(candidate.gamma), "gamma": image_like(gamma, evaluation.ct),
           "evaluated": evaluated}
    )  # fmt: skip
    picture = charts.gamma_chart(evaluation)
    (axes,) = drawn[0].axes
    assert axes.get_yscale() == "log" and "Logarithmic" in picture.caption
    low, high = axes.get_ylim()
    share = 100 / gamma.size
    assert low < share < high
    assert (np.log(share) - np.log(low)) / (np.log(high) - np.log(low)) > 0.02
    assert any("limit 1" in text.get_text() for text in axes.texts)
    assert any(list(line.get_xdata()) == [1, 1] for line in axes.lines)
