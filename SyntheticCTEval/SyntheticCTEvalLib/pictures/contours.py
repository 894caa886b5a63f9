"""Contours of structures on boards: which, and in which lines, told apart without colour."""

from __future__ import annotations

from SyntheticCTEvalLib.evaluation.results import Evaluation

from .board import Board, Key, Keys, Line
from .planes import Plane, target_of

MOST = 8
WHOLE_BODY = 0.8
"""A structure that is so much of the body on the planes is its contour, and not drawn."""

_LINES: tuple[Line, ...] = (
    (0, (5, 1.6)), (0, (1, 1.3)), (0, (6, 1.6, 1, 1.6)), (0, (2.4, 1.4)), (0, (10, 2)),
    (0, (6, 1.4, 1, 1.4, 1, 1.4)), (0, (1, 3)),
)  # fmt: skip
_COLOURS = ("#56B4E9", "#FF9E4A", "#3FD9A8", "#FF8AC4", "#C4B5FF", "#FFFFFF", "#D9B382")
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
                name,
                colour if coloured else "white",
                "-" if is_target else _LINES[other % len(_LINES)],
                1.6 if is_target else 1.2,
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
        for name, key in reversed(self._keys.items()):
            board.outline(self._structures[name], key, rows)
