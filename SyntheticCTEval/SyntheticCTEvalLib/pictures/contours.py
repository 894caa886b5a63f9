"""Contours of structures on boards: which, in which lines and numbers, told apart in grey."""

from __future__ import annotations

import numpy as np

from SyntheticCTEvalLib.evaluation.results import Evaluation

from .board import Board, Key, Keys, Line
from .planes import Plane, target_of

MOST = 8
WHOLE_BODY = 0.8
"""A structure that is so much of the body on the planes is its contour, and not drawn."""

_LINES: tuple[Line, ...] = (
    (0, (5, 1.6)), (0, (1, 1.3)), (0, (6, 1.6, 1, 1.6)), (0, (2.4, 1.4)), (0, (10, 2)),
    (0, (6, 1.4, 1, 1.4, 1, 1.4)), (0, (1, 3)), (0, (4, 1.2, 4, 1.2, 1, 1.2)),
)  # fmt: skip
_COLOURS = ("#56B4E9", "#FF9E4A", "#3FD9A8", "#FF8AC4", "#C4B5FF", "#FFFFFF", "#D9B382", "#C8E6A0")
_WIDTHS = (1.2, 1.8)
"""By turns, so that neighbours in the list differ in this as well."""

TARGET_COLOUR = "#F0E442"


class Contours:
    """The contours that planes cut: the target and so many others that they can be told apart.

    Attributes:
        left_out: how many more the planes cut.
    """

    def __init__(self, evaluation: Evaluation, planes: list[Plane], coloured: bool = False) -> None:
        """Choose the target and structures that ``planes`` cut, in the order of the file.

        Args:
            coloured: in colours, on grey pictures; else white.
        """
        target = target_of(evaluation)
        body = sum(int((plane.mask(evaluation.body) > 0.5).sum()) for plane in planes)
        found = []
        for name, mask in evaluation.structures.items():
            if target is not None and name == target[0]:
                continue
            cut = sum(int((plane.mask(mask) > 0.5).sum()) for plane in planes)
            if 0 < cut < WHOLE_BODY * max(body, 1):
                found.append(name)
        first = [] if target is None else [target[0]]
        names = [*first, *found[: MOST - len(first)]]
        self.left_out = len(found) + len(first) - len(names)
        self._structures = evaluation.structures
        self._keys = {}
        for number, name in enumerate(names):
            is_target = bool(first) and number == 0
            other = number - len(first)
            colour = TARGET_COLOUR if is_target else _COLOURS[other % len(_COLOURS)]
            self._keys[name] = Key(
                f"{number + 1} {name}",
                colour if coloured else "white",
                "-" if is_target else _LINES[other % len(_LINES)],
                2.0 if is_target else _WIDTHS[other % len(_WIDTHS)],
                halo="black",
            )

    @property
    def keys(self) -> list[Keys]:
        """What stands under a board; nothing where no structure is drawn."""
        return [Keys("Structures", list(self._keys.values()))] if self._keys else []

    @property
    def words(self) -> str:
        """What a caption says of them."""
        if not self.left_out:
            return ""
        return f" {self.left_out} more structures that the planes cut are not drawn."

    def draw(self, board: Board, rows: range | None = None) -> None:
        """Draw them into rows of a board, all when None."""
        drawn = {
            key: board.outline(self._structures[name], key, rows)
            for name, key in reversed(self._keys.items())
        }
        panels = dict.fromkeys(panel for found in drawn.values() for panel in found)
        for panel in panels:
            paths = {key: np.vstack(found[panel]) for key, found in drawn.items() if panel in found}
            for key, point in _places(paths, board.shape(*panel)).items():
                board.tag(*panel, point, key.label.split()[0], key.colour)


def _places(paths: dict[Key, np.ndarray], shape: tuple[int, int]) -> dict[Key, np.ndarray]:
    """Return where each contour gets its number: on it, far from others' and from other numbers.

    Args:
        paths: points (column, row) of each contour.
        shape: rows and columns of the panel.
    """
    size = np.array(shape[::-1])
    edges = np.array([(0.5, 0.03), (0.5, 0.97), (0.02, 0.5), (0.98, 0.5)]) * size  # the letters
    thin = {key: points[:: max(1, len(points) // 120)] for key, points in paths.items()}
    placed: dict[Key, np.ndarray] = {}
    for key in reversed(thin):
        own = thin[key]
        inside = own[((own > 0.03 * size) & (own < 0.97 * size)).all(axis=1)]
        own = inside if len(inside) else own
        others = [points for other, points in thin.items() if other != key]
        near = _distance(own, np.vstack(others)) if others else np.zeros(len(own))
        numbers = _distance(own, np.vstack([edges, *(p[None] for p in placed.values())]))
        placed[key] = own[
            np.argmax(np.minimum(near, 0.04 * size.max()) + np.minimum(numbers, 0.1 * size.max()))
        ]
    return placed


def _distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each point to the nearest of the others."""
    return np.linalg.norm(points[:, None] - others[None], axis=2).min(axis=1)
