"""Bladder, uterus, rectum, bowel and their gas, in canonical millimetres.

Positions and sizes come from the patient. Gas and bowel content belong to one scan: the MR
and the CT of a patient have the same loops, but every gas pocket is drawn anew for each
scan, so that some have moved along the loop, grown, shrunk or gone, as after an hour of
peristalsis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import stream
from .patient import Patient
from .shapes import Ellipsoid, Tube
from .tissues import Structure


@dataclass(frozen=True)
class Hollow:
    """A tube with a wall of ``wall`` mm; ``gas_chance`` is how much gas it tends to hold."""

    tube: Tube
    wall: float
    structure: Structure
    gas_chance: float


@dataclass(frozen=True)
class GasPocket:
    """Gas in one loop: an ellipsoid above the level of the fluid (patient supine)."""

    loop: int
    region: Ellipsoid
    level_y: float


@dataclass(frozen=True)
class Organs:
    """The shapes of one patient's organs."""

    urine: Ellipsoid
    uterus: Tube
    endometrium: Tube
    cervix: Ellipsoid
    canal: Tube
    tumour: Ellipsoid
    parametria: Ellipsoid
    vagina: Tube
    urethra: Tube
    ovaries: tuple[Ellipsoid, ...]
    loops: tuple[Hollow, ...]


def _rectum(patient: Patient, rng: np.random.Generator) -> list[Hollow]:
    r = patient.rectum_radius
    side = float(rng.choice([-1, 1]))
    bend = rng.uniform(-5, 5, 4)
    rectum = Tube(
        [
            (0, 36, -66, 8),
            (0, 46, -46, 9),
            (bend[0], 60, -20, r * 0.95),
            (bend[1], 66, 6, r * 1.1),
            (bend[2], 62, 30, r),
            (bend[2] + 10 * side, 46, 46, r * 0.9),
        ]
    )
    q = rng.uniform(-6, 6, (3, 3))
    sigmoid = Tube(
        [
            (bend[2] + 10 * side, 46, 46, r * 0.9),
            (-24 + q[0, 0], 22 + q[0, 1], 56 + q[0, 2], r * 0.85),
            (18 + q[1, 0], 6 + q[1, 1], 66 + q[1, 2], r * 0.9),
            (60 + q[2, 0], -14 + q[2, 1], 74 + q[2, 2], r * 0.9),
            (96, -22, 92, r),
            (112, 6, 130, r * 1.1),
            (108, 18, 190, r * 1.1),
        ]
    )
    caecum = Tube(
        [
            (-78 + q[0, 2], -40 + q[1, 2], 62 + q[2, 2], 17),
            (-92, -34, 88, 23),
            (-104, -16, 128, 22),
            (-106, 0, 190, 20),
        ]
    )
    return [
        Hollow(rectum, 3.6, Structure.RECTUM, 0.9),
        Hollow(sigmoid, 3.0, Structure.BOWEL, 0.8),
        Hollow(caecum, 2.6, Structure.BOWEL, 0.95),
    ]


def _small_bowel(patient: Patient, rng: np.random.Generator) -> list[Hollow]:
    """Loops that wander through the front of the cavity above bladder and uterus."""
    loops = []
    for n in range(28):
        top = 46 + 4.3 * n + rng.uniform(-4, 4)
        width = 58 if top < 66 else 92
        # Left, middle and right in turn, so that no part of the cavity stays empty.
        third = (n % 3 - 1) * width * 0.6
        position = np.array([third + rng.uniform(-18, 18), rng.uniform(-78, -10), top])
        heading = rng.normal(size=3) * (1, 0.8, 0.35)
        radius = rng.uniform(9, 13.5)
        nodes = []
        for _ in range(int(rng.integers(5, 9))):
            nodes.append((*position, radius * rng.uniform(0.8, 1.15)))
            heading = 0.75 * heading / np.linalg.norm(heading) + rng.normal(size=3) * (
                0.6,
                0.6,
                0.3,
            )
            position = position + heading / np.linalg.norm(heading) * rng.uniform(15, 22)
            position = np.clip(position, (-width, -80, 42), (width, 0, 200))
        loops.append(Hollow(Tube(nodes), 2.4, Structure.BOWEL, 0.4))
    return loops


def make_organs(patient: Patient) -> Organs:
    """Return the organs of ``patient``."""
    rng = stream(patient.seed, "organs")
    tip, radius = np.asarray(patient.uterus_tip), patient.uterus_radius
    cervix = np.array([rng.uniform(-3, 3), 24 + rng.uniform(-3, 3), 10 + rng.uniform(-3, 3)])
    isthmus = cervix + 0.38 * (tip - cervix) + (0, 4, 2)
    body = cervix + 0.72 * (tip - cervix) + (0, 2, 2)
    t = patient.tumour_radius
    tumour = cervix + rng.uniform(-4, 4, 3)

    def nodes(*rows: tuple[np.ndarray, float]) -> Tube:
        return Tube([(*(float(v) for v in point), float(r)) for point, r in rows])

    return Organs(
        urine=Ellipsoid(patient.bladder_centre, patient.bladder),
        uterus=nodes((cervix - (0, 2, 8), 12), (isthmus, 13), (body, radius), (tip, radius * 0.92)),
        endometrium=nodes((isthmus, 1.6), (body, radius * 0.24), (tip, radius * 0.3)),
        cervix=Ellipsoid(tuple(cervix), (17, 13, 15)),
        canal=nodes((cervix - (0, 1, 12), 1.8), (isthmus, 1.6)),
        tumour=Ellipsoid(
            tuple(tumour), (t * rng.uniform(0.9, 1.25), t * 0.85, t * rng.uniform(0.85, 1.15))
        ),
        parametria=Ellipsoid((cervix[0], cervix[1], cervix[2] + 4), (44, 15, 19)),
        vagina=Tube(
            [(*(cervix - (0, 2, 12)), 9.0), (0, 16, -22, 8), (0, 2, -44, 7), (0, -8, -64, 6)]
        ),
        urethra=Tube(
            [
                (0, patient.bladder_centre[1] + 4, patient.bladder_centre[2] - 18, 6),
                (0, -18, -36, 5.5),
                (0, -22, -58, 5),
            ]
        ),
        ovaries=tuple(
            Ellipsoid(
                (s * rng.uniform(40, 50), rng.uniform(4, 24), rng.uniform(34, 48)),
                tuple(rng.uniform(6, 10, 3)),
            )
            for s in (-1, 1)
        ),
        loops=(*_small_bowel(patient, rng), *_rectum(patient, rng)),
    )


def gas_pockets(patient: Patient, organs: Organs, scan: str) -> list[GasPocket]:
    """Return the gas of one scan ("mr" or "ct")."""
    pockets = []
    usual = stream(patient.seed, "gas")
    now = stream(patient.seed, f"gas:{scan}")
    for n, loop in enumerate(organs.loops):
        for m, (node, following) in enumerate(
            zip(loop.tube.nodes[:-1], loop.tube.nodes[1:], strict=True)
        ):
            chance, place, size, level = usual.random(4)
            again, shift, growth, slosh = now.random(4)
            # A pocket usually stays in its loop between the scans, but not always.
            if chance > loop.gas_chance * 0.55 or again > 0.75:
                continue
            if loop.structure is Structure.RECTUM and m < 1:
                continue
            along = np.clip(place + 0.5 * (shift - 0.5), 0, 1)
            centre = np.asarray(node[:3]) * (1 - along) + np.asarray(following[:3]) * along
            radius = node[3] - loop.wall
            reach = radius * (0.7 + 0.9 * size) * (0.75 + 0.5 * growth)
            region = Ellipsoid(tuple(centre), (reach * 1.25, radius * 1.1, reach * 1.1))
            pockets.append(
                GasPocket(n, region, float(centre[1] + radius * (1.2 * level + 0.4 * slosh - 0.9)))
            )
    return pockets
