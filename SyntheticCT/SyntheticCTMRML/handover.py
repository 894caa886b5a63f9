"""Volumes handed over to a child process and back, in steps that do not stop Slicer's window."""

from __future__ import annotations

import math
import sys
from collections.abc import Generator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import vtk
from SyntheticCTLib.basics.errors import SyntheticCTError
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from .translation import tr as _

CHUNK_BYTES = 16_000_000
"""As much is written in one step: ITK's own writer takes longer than the window may wait."""

_ELEMENT_TYPES = {
    "int8": "MET_CHAR",
    "uint8": "MET_UCHAR",
    "int16": "MET_SHORT",
    "uint16": "MET_USHORT",
    "int32": "MET_INT",
    "uint32": "MET_UINT",
    "int64": "MET_LONG_LONG",
    "uint64": "MET_ULONG_LONG",
    "float32": "MET_FLOAT",
    "float64": "MET_DOUBLE",
}


def writing_steps(image: sitk.Image, path: Path) -> Generator[None, None, Path]:
    """Write a 3D scalar image uncompressed to ``path`` (.mha), exactly, and return the path."""
    values = sitk.GetArrayViewFromImage(image)
    directions = np.reshape(image.GetDirection(), (3, 3))
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": _numbers(directions.T.ravel()),
        "Offset": _numbers(image.GetOrigin()),
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": _numbers(image.GetSpacing()),
        "DimSize": " ".join(map(str, image.GetSize())),
        **{key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.isidentifier()},
        "ElementType": _ELEMENT_TYPES[values.dtype.name],
        "ElementDataFile": "LOCAL",
    }
    flat = values.ravel().astype(values.dtype.newbyteorder("<"), copy=False)
    step = CHUNK_BYTES // values.itemsize
    try:
        with path.open("wb") as file:
            file.write("".join(f"{key} = {text}\n" for key, text in fields.items()).encode("utf-8"))
            for first in range(0, flat.size, step):
                file.write(flat[first : first + step].data)
                yield
    except OSError as error:
        raise SyntheticCTError(
            _(
                "The volume cannot be handed over ({reason}): make room on the disk of the folder "
                "for temporary files."
            ).format(reason=error.strerror)
        ) from error
    return path


def reading_steps(
    path: Path, what: str
) -> Generator[None, None, tuple[vtk.vtkImageData, sitk.ImageFileReader]]:
    """Read a 3D scalar image that a child has written uncompressed (.nrrd, .mha).

    Returns:
        The voxels, and a reader that tells the geometry (mm, LPS) and the metadata.
    """
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    data = vtk.vtkImageData()
    try:
        header.ReadImageInformation()
        dtype = sitk.GetArrayFromImage(sitk.Image([1, 1], header.GetPixelID())).dtype
        scalars = vtk.vtkDataArray.CreateDataArray(get_vtk_array_type(dtype))
        scalars.SetNumberOfTuples(math.prod(header.GetSize()))
        values = vtk_to_numpy(scalars)
        with path.open("rb") as file:
            # The voxels are the end of the file, whatever the header before them is.
            file.seek(path.stat().st_size - values.nbytes)
            rest = memoryview(values).cast("B")
            while rest:
                count = file.readinto(rest[:CHUNK_BYTES])
                if not count:
                    raise EOFError
                rest = rest[count:]
                yield
    except (RuntimeError, OSError, EOFError) as error:
        raise SyntheticCTError(
            _(
                "The {what} was not handed over whole: make room on the disk of the folder for "
                "temporary files."
            ).format(what=what)
        ) from error
    if sys.byteorder == "big":
        values.byteswap(inplace=True)
    data.SetDimensions(header.GetSize())
    data.GetPointData().SetScalars(scalars)
    return data, header


def _numbers(values: np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in values)
