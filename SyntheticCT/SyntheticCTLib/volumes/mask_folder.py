"""Masks by name in a folder, each on a grid of its own: what a label map cannot hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SyntheticCTLib.basics.errors import SyntheticCTError

from .reading import read_image_file
from .writing import write_volume

INDEX = "masks.json"
"""File that tells a folder of masks; a list of names, mask n is in the file n.nrrd."""


def write_masks(masks: Mapping[str, sitk.Image], folder: Path) -> Path:
    """Write masks (0 or 1) into ``folder`` and return it; overlaps, order and grids are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, mask in enumerate(masks.values()):
        write_mask(mask, folder, number)
    return write_index(list(masks), folder)


def write_mask(mask: sitk.Image, folder: Path, number: int) -> None:
    """Write mask ``number`` of a folder."""
    write_volume(sitk.Cast(mask != 0, sitk.sitkUInt8), folder / f"{number}.nrrd")


def write_index(names: list[str], folder: Path) -> Path:
    """Write the names of the masks of a folder and return the folder."""
    (folder / INDEX).write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")
    return folder


def crop(mask: sitk.Image) -> sitk.Image | None:
    """Return the smallest part of a mask that holds all of it; None where it is empty."""
    part, first = cropped(sitk.GetArrayViewFromImage(mask))
    if part is None:
        return None
    return mask[tuple(slice(n, n + size) for n, size in zip(first, part.shape[::-1], strict=True))]


def cropped(array: np.ndarray) -> tuple[np.ndarray | None, tuple[int, int, int]]:
    """Return the smallest part (k, j, i) that holds all that is not 0, and its first (i, j, k)."""
    planes = np.flatnonzero(array.any(axis=(1, 2)))
    if not planes.size:
        return None, (0, 0, 0)
    flat = array[planes[0] : planes[-1] + 1].any(axis=0)
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    spans = [(int(found[0]), int(found[-1]) + 1) for found in (planes, rows, columns)]
    first = (spans[2][0], spans[1][0], spans[0][0])
    return array[tuple(slice(*span) for span in spans)], first


def is_mask_folder(path: Path) -> bool:
    """Whether ``path`` is a folder that :func:`write_masks` has written."""
    return (path / INDEX).is_file()


def read_masks(folder: Path) -> dict[str, sitk.Image]:
    """Read the masks (uint8, 0 or 1) of a folder by name."""
    return dict(masks_in(folder))


def masks_in(folder: Path) -> Iterator[tuple[str, sitk.Image]]:
    """Read the masks of a folder one after the other.

    Raises:
        SyntheticCTError: the folder is not complete.
    """
    try:
        names = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SyntheticCTError(
            f"The masks in {folder} cannot be read: write the folder again."
        ) from error
    for number, name in enumerate(names):
        yield name, read_image_file(folder / f"{number}.nrrd", f"mask {name}")
