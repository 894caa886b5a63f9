"""The bones of the pelvis as signed distances, in canonical millimetres.

x counts outwards on each side, y to the back, z to the head; the origin is the middle between
the centres of the femoral heads.
"""

from __future__ import annotations

import numpy as np

from .shapes import (
    Box,
    Ellipsoid,
    Loft,
    Points,
    Tube,
    smooth_union,
)

HEAD_CENTRE = (85.0, 0.0, 0.0)
HEAD_RADIUS = 22.0
SOCKET_RADIUS = 25.5

# From the front edge to the back edge: iliac wing, socket, ischium.
_HIP = Loft(
    {
        -72: [(52, 26, -4), (56, 30, -4), (58, 34, -4), (58, 38, -4), (58, 40, -4)],
        -66: [(52, 24, 3), (56, 28, 6), (58, 34, 8), (58, 38, 7), (58, 40, 5)],
        -56: [(53, 20, 4), (57, 27, 8), (59, 34, 10), (59, 40, 10), (59, 44, 7)],
        -42: [(57, 24, 4), (60, 32, 8), (61, 40, 10), (63, 48, 9), (64, 53, 6)],
        -30: [(64, 3, 4), (64, 13, 8), (64, 25, 10), (64, 36, 11), (64, 46, 8)],
        -18: [(63, -24, 6), (61, -6, 5), (63, 16, 9), (64, 32, 10), (62, 46, 5)],
        -6: [(80, -31, 5), (62, -25, 7), (59, 0, 4), (65, 30, 9), (92, 20, 5)],
        6: [(78, -32, 6), (60, -25, 7), (57, 2, 4), (65, 29, 9), (99, 12, 5)],
        18: [(96, -36, 5), (86, -22, 10), (80, -4, 13), (76, 14, 12), (66, 33, 5)],
        33: [(102, -44, 5), (97, -22, 8), (90, -2, 11), (82, 14, 11), (74, 26, 6)],
        48: [(110, -48, 5), (104, -20, 6), (94, 5, 8), (76, 30, 8), (62, 43, 4)],
        63: [(117, -60, 5), (112, -25, 4), (98, 2, 4.5), (68, 28, 8), (46, 68, 6)],
        78: [(122, -54, 5), (120, -20, 3.5), (104, 8, 4), (72, 30, 7), (46, 74, 6)],
        96: [(131, -36, 6), (126, -8, 4), (104, 22, 4), (72, 38, 7), (56, 74, 7)],
        117: [(134, -14, 5), (120, 18, 4), (95, 42, 4), (72, 52, 5), (58, 60, 5)],
        129: [(128, 0, 3), (120, 18, 3), (108, 32, 3), (98, 40, 2), (88, 46, -1)],
        136: [(124, 4, -3), (118, 18, -3), (108, 30, -3), (100, 38, -3), (92, 44, -4)],
    },
    rounded=True,
)
_RAMUS = Tube([(66, -27, -6, 8), (46, -38, -13, 7), (26, -43, -20, 7.5), (14, -42, -24, 9)])
_PUBIS = Loft(
    {
        -8: [(9, -43, -4), (27, -43, -4)],
        -17: [(11, -44, 7), (28, -43, 8)],
        -30: [(11, -40, 9.5), (25, -42, 9)],
        -42: [(9.5, -34, 8), (16, -25, 6)],
        -52: [(9, -30, -3), (18, -20, -3)],
    }
)
_LOWER_RAMUS = Tube([(11, -33, -41, 6.5), (24, -16, -52, 5.5), (40, 4, -60, 5.5), (53, 22, -64, 7)])

_NECK = Tube([(91, 2, -1, 16), (106, 9, -11, 14), (120, 13, -21, 15)])
_TROCHANTER = Tube([(133, 20, -4, 8), (134, 18, -18, 12), (128, 10, -33, 15)])
_LESSER = Ellipsoid((111, 22, -47), (9, 9, 11))
_SHAFT = Tube([(124, 8, -32, 17), (122, 5, -55, 16), (119, 1, -85, 14), (118, 0, -140, 13.5)])

_SACRAL_BODY = Tube(
    [
        (11, 15, 90, 17),
        (10, 44, 71, 14),
        (8, 66, 57, 11),
        (6, 79, 44, 9),
        (4, 86, 30, 7),
        (1, 85, 15, 5),
        (0, 78, 2, 3.5),
    ]
)
_ALA = Tube(
    [
        (22, 24, 92, 13),
        (40, 38, 83, 14),
        (42, 50, 70, 13),
        (30, 64, 56, 11),
        (16, 78, 40, 8),
        (8, 84, 28, 6),
    ]
)
_SACRAL_ROOF = Tube([(0, 66, 92, 5), (0, 80, 74, 5.5), (0, 92, 54, 4.5), (0, 95, 44, 2.5)])
_SACRAL_LAMINA = Tube([(30, 52, 88, 6), (18, 66, 84, 6), (10, 82, 64, 6), (5, 90, 50, 5)])
_SACRAL_CANAL = Tube([(0, 42, 100, 8), (0, 60, 80, 5.5), (0, 78, 58, 3.2), (0, 87, 44, 1.5)])
_FORAMINA = [
    Tube([(20, 24, 76, 4.2), (21, 42, 78, 2), (22, 62, 80, 2.2)]),
    Tube([(18, 46, 58, 3.8), (18, 62, 62, 1.8), (18, 78, 66, 2)]),
    Tube([(14, 68, 46, 3.2), (13, 86, 51, 2)]),
]
_L5 = Loft(
    {
        93: [(0, 8, -3), (9, 8, -3)],
        97: [(0, 7, 17), (10, 7, 16)],
        108: [(0, 4, 16), (9, 4, 15)],
        119: [(0, 2, 17), (11, 2, 16)],
        122: [(0, 2, -3), (9, 2, -3)],
    }
)
_L4 = Loft(
    {
        129: [(0, 1, -3), (9, 1, -3)],
        132: [(0, 1, 17), (11, 1, 16)],
        143: [(0, 1, 16), (9, 1, 15)],
        170: [(0, 1, 16), (9, 1, 15)],
    }
)
_ARCH = Loft(
    {
        94: [(20, 14, -3), (24, 34, -3), (12, 46, -3), (0, 50, -3), (0, 52, -3)],
        101: [(19, 15, 4), (24, 36, 6), (12, 47, 4), (0, 54, 4), (0, 66, 3)],
        112: [(19, 15, 5), (23, 33, 6), (11, 44, 4), (0, 52, 4), (0, 70, 3.5)],
        126: [(21, 22, -2), (24, 34, 6), (12, 44, 3), (0, 50, 3), (0, 66, 1)],
        138: [(19, 14, 5), (23, 32, 6), (11, 43, 4), (0, 51, 4), (0, 70, 3.5)],
        170: [(19, 14, 4), (23, 32, 6), (11, 43, 4), (0, 51, 4), (0, 70, 3.5)],
    }
)
_TRANSVERSE = Tube([(22, 18, 112, 5.5), (42, 22, 112, 5), (58, 28, 110, 4)])
DISCS = (
    Loft(
        {
            87: [(0, 10, -2), (9, 10, -2)],
            91: [(0, 8, 16), (10, 8, 15)],
            95: [(0, 8, 16), (10, 8, 15)],
            98: [(0, 8, -2), (9, 8, -2)],
        }
    ),
    Loft(
        {
            120: [(0, 2, 12), (9, 2, 11)],
            123: [(0, 2, 17), (11, 2, 16)],
            129: [(0, 2, 17), (11, 2, 16)],
            132: [(0, 2, 12), (9, 2, 11)],
        }
    ),
)
SYMPHYSIS = Ellipsoid((0, -36, -32), (5, 9, 15))
SPINAL_CANAL = Tube([(0, 30, 180, 10), (0, 31, 112, 10), (0, 42, 98, 9)])

HIP_BOX: Box = ((0, -75, -80), (145, 100, 142))
FEMUR_BOX: Box = ((58, -30, -150), (154, 45, 30))
SACRUM_BOX: Box = ((-66, -10, -6), (66, 102, 116))
LUMBAR_BOX: Box = ((-70, -22, 84), (70, 84, 190))


def _each(shapes: list, p: Points) -> np.ndarray:
    result = shapes[0].distance(p)
    for shape in shapes[1:]:
        result = np.minimum(result, shape.distance(p))
    return result


def head_distance(p: Points) -> np.ndarray:
    """Signed distance to the sphere of the femoral head, x counting outwards."""
    return Ellipsoid(HEAD_CENTRE, (HEAD_RADIUS,) * 3).distance(p)


def hip(p: Points) -> np.ndarray:
    """Ilium, ischium and pubis of one side, with the socket cut out and the symphysis open."""
    wing = _HIP.distance(p)
    front = smooth_union(_RAMUS.distance(p), _PUBIS.distance(p), 5)
    front = smooth_union(front, _LOWER_RAMUS.distance(p), 4)
    bone = smooth_union(wing, front, 5)
    x, y, z = (q - np.float32(c) for q, c in zip((p.x, p.y, p.z), HEAD_CENTRE, strict=True))
    socket = np.sqrt(x * x + y * y + z * z) - SOCKET_RADIUS
    return np.maximum(np.maximum(bone, -socket), 2.6 - p.x)


def femur(p: Points) -> np.ndarray:
    """Head, neck, trochanters and upper shaft of one side."""
    upper = smooth_union(head_distance(p), _NECK.distance(p), 6)
    upper = smooth_union(upper, _TROCHANTER.distance(p), 8)
    shaft = smooth_union(_SHAFT.distance(p), _LESSER.distance(p), 6)
    return smooth_union(upper, shaft, 8)


def sacrum(p: Points) -> np.ndarray:
    """Sacrum and coccyx with their canal and foramina."""
    half = Points(np.abs(p.x), p.y, p.z)
    bone = smooth_union(_SACRAL_BODY.distance(half), _ALA.distance(half), 6)
    bone = np.maximum(bone, p.z - (98 - 0.12 * p.y))
    roof = smooth_union(_SACRAL_ROOF.distance(half), _SACRAL_LAMINA.distance(half), 4)
    bone = smooth_union(bone, roof, 4)
    holes = _each([_SACRAL_CANAL, *_FORAMINA], half)
    return np.maximum(bone, -holes)


def lumbar(p: Points) -> np.ndarray:
    """The fifth and part of the fourth lumbar vertebra with arches."""
    half = Points(np.abs(p.x), p.y, p.z)
    bodies = np.minimum(_L5.distance(half), _L4.distance(half))
    arches = smooth_union(_ARCH.distance(half), _TRANSVERSE.distance(half), 4)
    return np.maximum(smooth_union(bodies, arches, 4), -SPINAL_CANAL.distance(half))


def any_bone(p: Points) -> np.ndarray:
    """Distance to the nearest bone at every point, without windows; for few points."""
    half = Points(np.abs(p.x), p.y, p.z)
    distances = [hip(half), femur(half), sacrum(p), lumbar(p)]
    return np.minimum.reduce(distances)
