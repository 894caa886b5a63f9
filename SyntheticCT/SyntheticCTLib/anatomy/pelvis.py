"""One patient's anatomy as a function of place, composed tissue by tissue onto a canvas."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import bones, muscles
from .canvas import Canvas, Look
from .noise import SmoothNoise
from .organs import gas_pockets, make_organs
from .patient import Patient, draw_patient
from .shapes import (
    Box,
    Ellipsoid,
    Loft,
    Points,
    Tube,
    Window,
    side_box,
    smooth_union,
)
from .tissues import Structure, Tissue

SKIN_MM = 2.2


class Anatomy:
    """The anatomy that MR, Dixon and CT of one patient show.

    World coordinates are those of the MR (mm, LPS); canonical coordinates are the ones in which
    the shapes are written. Between them lie the patient's size and pelvic tilt and a smooth
    random warp, small for bones and larger for soft tissue, which makes no two alike.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.patient: Patient = draw_patient(seed)
        self.organs = make_organs(self.patient)
        self._warp = SmoothNoise(seed, "warp", 45)
        self._ripple = SmoothNoise(seed, "ripple", 11)
        self._cortex = SmoothNoise(seed, "cortex", 14)
        self._gas = {scan: gas_pockets(self.patient, self.organs, scan) for scan in ("mr", "ct")}

    def canonical(self, world: Points) -> tuple[Points, Points, np.ndarray]:
        """Return the points as bones and as soft tissue see them, and the warp along x."""
        angle = np.deg2rad(self.patient.tilt_deg)
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        sx, sy, sz = (np.float32(1 / s) for s in self.patient.scale)
        y, z = cos * world.y - sin * world.z, sin * world.y + cos * world.z
        place = (world.x * sx, y * sy, z * sz)
        warp = self._warp.vector_at(world.x, world.y, world.z)
        return (
            Points(*(p + np.float32(1.1) * w for p, w in zip(place, warp, strict=True))),
            Points(*(p + np.float32(2.6) * w for p, w in zip(place, warp, strict=True))),
            warp[0],
        )

    def body_box(self) -> Box:
        """Return a box in world mm, unbounded in z, that holds the body."""
        patient = self.patient
        side = (158 + patient.fat_side + 6) * patient.scale[0]
        front = (104 + patient.fat_front + 30) * patient.scale[1]
        return (-side, -front, -1e3), (side, (104 + patient.fat_back + 30) * patient.scale[1], 1e3)

    def _body(self, p: Points, envelope: np.ndarray) -> np.ndarray:
        """Signed distance to the skin: the fascia plus fat, flat where she lies on the table."""
        patient = self.patient
        y = p.y - 5
        square = p.x * p.x + np.float32(2.2) * y * y + np.float32(1e-3)
        across = p.x * p.x / square
        front = patient.fat_front * (0.75 + 0.25 * np.clip((p.z + 40) / 80, 0, 1))
        upright = np.where(y < 0, front, np.float32(patient.fat_back))
        body = envelope - (patient.fat_side * across + upright * (1 - across))
        table = p.y - np.float32(100 + 0.72 * patient.fat_back)
        body = -smooth_union(-body, -table, 10)
        # The cleft between the buttocks, and further down in front the one between the thighs.
        x = np.abs(p.x)
        for low, width in (
            (np.clip((42 - p.z) / 110, 0, 1), np.clip((p.y - 90) * 0.14, 0, 5)),
            (np.clip((-46 - p.z) / 60, 0, 1), np.clip((-54 - p.y) * 0.3, 0, 8)),
        ):
            width = low * width
            body = np.maximum(body, width - 3 * np.clip(1 - width, 0, 1) - x)
        return body.astype(np.float32)

    def render(
        self, world: Points, edge: float, look: Look, channels: int, scan: str
    ) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Compose the anatomy at ``world``.

        Args:
            world: points in the MR's coordinates (mm).
            edge: half the blending width of surfaces (mm).
            look: appearance of the tissues in each channel.
            channels: how many values ``look`` returns.
            scan: "mr" or "ct", which gas to show.

        Returns:
            The channels (float32), the tissue labels and the structure labels (uint8).
        """
        shape = world.x.shape
        air = look(Tissue.AIR, world, None)
        values = [np.full(shape, value, np.float32) for value in air]
        tissue, structure = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        window = world.window(self.body_box())
        if window is not None:
            canvas = self._compose(world[window], edge, scan)
            for value, part in zip(values, canvas.blend(look, channels), strict=True):
                value[window] = part
            tissue[window], structure[window] = canvas.tissue, canvas.structure
        return values, tissue, structure

    def _compose(self, world: Points, edge: float, scan: str) -> Canvas:
        firm, soft, drift = self.canonical(world)
        ripple = np.float32(0.8) * self._ripple.at(world.x, world.y, world.z)
        canvas = Canvas(world, firm, soft, ripple, drift, edge)
        everywhere = tuple(slice(0, n) for n in world.x.shape)
        envelope = muscles.ENVELOPE.distance(firm)
        body = self._body(firm, envelope)
        canvas.paint(everywhere, body, Tissue.SKIN)
        canvas.paint(everywhere, body + SKIN_MM, Tissue.SUBCUTANEOUS_FAT)
        fascia = np.maximum(envelope + ripple, body + 5)
        cavity = muscles.CAVITY.distance(soft) + ripple
        canvas.paint(everywhere, fascia, Tissue.MUSCLE)
        self._lay_fat(canvas, fascia)
        self._lay_muscles(canvas, fascia, muscles.OUTER)
        canvas.paint(everywhere, cavity, Tissue.INNER_FAT)
        self._lay_wall(canvas, fascia, cavity)
        self._lay_muscles(canvas, fascia, muscles.INNER)
        self._lay_vessels(canvas)
        self._lay_hollow_organs(canvas, cavity)
        self._lay_pelvic_organs(canvas, cavity)
        self._lay_bones(canvas)
        self._lay_gas(canvas, scan)
        return canvas

    def _lay_fat(self, canvas: Canvas, fascia: np.ndarray) -> None:
        for shape in muscles.FAT:
            for window, p in _both_sides(canvas.soft, shape):
                distance = np.maximum(shape.distance(p) + canvas.ripple[window], fascia[window])
                canvas.paint(window, distance, Tissue.INNER_FAT)

    def _lay_wall(self, canvas: Canvas, fascia: np.ndarray, cavity: np.ndarray) -> None:
        """Fat between the recti and obliques of the abdominal wall."""
        window = canvas.soft.window(((-90, -130, -20), (90, -20, 220)))
        if window is None:
            return
        p = canvas.soft[window]
        x = np.abs(p.x)
        gap = np.minimum(x - 1.2, np.abs(x - 58) - 1.6)
        gap = np.maximum(np.maximum(gap, fascia[window]), -cavity[window])
        canvas.paint(window, np.maximum(gap, p.y + 40), Tissue.INNER_FAT)

    def _lay_muscles(self, canvas: Canvas, fascia: np.ndarray, shapes: list) -> None:
        # Wasted muscles leave wider seams of fat between them.
        seam = np.float32(1.3 - 0.7 * self.patient.muscle)
        for shape in shapes:
            for window, p in _both_sides(canvas.soft, shape):
                distance = shape.distance(p) + canvas.ripple[window]
                distance = np.maximum(distance, fascia[window] + 1)
                width = seam * np.clip(0.8 + 0.9 * canvas.drift[window], 0, 2.4)
                canvas.paint(window, distance - 0.4 * width, Tissue.INNER_FAT)
                canvas.paint(window, distance + 0.6 * width, Tissue.MUSCLE)

    def _lay_vessels(self, canvas: Canvas) -> None:
        for shapes, tissue in (
            (muscles.VEINS, Tissue.VEIN),
            (muscles.ARTERIES, Tissue.ARTERY),
            (muscles.NERVES, Tissue.NERVE),
        ):
            for shape in shapes:
                for window, p in _both_sides(canvas.soft, shape):
                    distance = shape.distance(p) + canvas.ripple[window]
                    canvas.paint(window, distance - 1.5, Tissue.INNER_FAT)
                    canvas.paint(window, distance, tissue)

    def _lay_hollow_organs(self, canvas: Canvas, cavity: np.ndarray) -> None:
        solid = (Tissue.MUSCLE, Tissue.ARTERY, Tissue.VEIN)
        for loop in self.organs.loops:
            window = canvas.soft.window(loop.tube.box(3))
            if window is None:
                continue
            p = canvas.soft[window]
            wall = loop.tube.distance(p) + canvas.ripple[window]
            if loop.structure is Structure.BOWEL:
                wall = np.maximum(wall, cavity[window] + 2.5)
            name = loop.structure
            canvas.paint(window, wall - 1.2, Tissue.INNER_FAT, Structure.NONE, avoid=solid)
            canvas.paint(window, wall, Tissue.BOWEL_WALL, name, avoid=solid)
            canvas.paint(window, wall + loop.wall, Tissue.BOWEL_CONTENT, name, avoid=solid)

    def _lay_pelvic_organs(self, canvas: Canvas, cavity: np.ndarray) -> None:
        organs = self.organs

        def lay(
            shape: Ellipsoid | Tube,
            tissue: Tissue,
            structure: Structure | None = None,
            grow: float = 0.0,
            gap: float = 0.0,
        ) -> None:
            window = canvas.soft.window(shape.box(grow + gap + 3))
            if window is None:
                return
            distance = shape.distance(canvas.soft[window]) + canvas.ripple[window]
            distance -= np.float32(grow)
            if gap:
                canvas.paint(window, distance - gap, Tissue.INNER_FAT)
            canvas.paint(window, distance, tissue, structure)

        # The target is marked first: what is painted later and is not part of it replaces it.
        window = canvas.soft.window(((-70, -70, -30), (70, 70, 110)))
        if window is not None:
            p = canvas.soft[window]
            target = np.minimum(organs.uterus.distance(p), organs.cervix.distance(p))
            target = np.minimum(target, organs.tumour.distance(p)) - 6
            target = np.minimum(target, organs.parametria.distance(p))
            canvas.structure[window][np.maximum(target, cavity[window] + 4) < 0] = Structure.TARGET
        lay(organs.urethra, Tissue.MUSCLE)
        lay(organs.vagina, Tissue.VAGINA, gap=1.0)
        lay(organs.urine, Tissue.BLADDER_WALL, Structure.BLADDER, grow=3.6, gap=1.2)
        lay(organs.urine, Tissue.URINE, Structure.BLADDER)
        for ovary in organs.ovaries:
            lay(ovary, Tissue.OVARY, gap=1.0)
        lay(organs.uterus, Tissue.UTERUS, Structure.TARGET, gap=1.2)
        lay(organs.cervix, Tissue.UTERUS, Structure.TARGET)
        lay(organs.endometrium, Tissue.ENDOMETRIUM, Structure.TARGET)
        lay(organs.canal, Tissue.ENDOMETRIUM, Structure.TARGET)
        lay(organs.tumour, Tissue.TUMOUR, Structure.TARGET)

    def _lay_bones(self, canvas: Canvas) -> None:
        for sign in (1, -1):
            for box, lay in ((bones.HIP_BOX, self._lay_hip), (bones.FEMUR_BOX, self._lay_femur)):
                window = canvas.firm.window(side_box(box, sign))
                if window is not None:
                    lay(canvas, window, sign)
        self._lay_firm(canvas, bones.SYMPHYSIS, Tissue.CARTILAGE)
        self._lay_firm(canvas, bones.SPINAL_CANAL, Tissue.NERVE)
        for box, shape, offset, name in (
            (bones.SACRUM_BOX, bones.sacrum, -45.0, Structure.SACRUM),
            (bones.LUMBAR_BOX, bones.lumbar, -20.0, Structure.BONES),
        ):
            window = canvas.firm.window(box)
            if window is None:
                continue
            distance = shape(canvas.firm[window])
            # The sacroiliac joint: the sacrum ends before the bone that is there already.
            taken = (
                canvas.coverage[bone][window]
                for bone in (Tissue.COMPACT_BONE, Tissue.SPONGY_BONE)
                if bone in canvas.coverage
            )
            distance = np.where(sum(taken) > 0.02, np.float32(9), distance)
            self._lay_bone(canvas, window, distance, self.patient.cortex, offset, name)
        for disc in bones.DISCS:
            self._lay_firm(canvas, disc, Tissue.CARTILAGE)

    def _lay_firm(self, canvas: Canvas, shape: Loft | Tube | Ellipsoid, tissue: Tissue) -> None:
        for window, p in _both_sides(canvas.firm, shape):
            canvas.paint(window, shape.distance(p), tissue)

    def _lay_bone(
        self,
        canvas: Canvas,
        window: Window,
        distance: np.ndarray,
        thickness: np.ndarray | float,
        offset: np.ndarray | float,
        structure: Structure,
        yellow: np.ndarray | float = 0.0,
    ) -> None:
        """A compact shell of ``thickness`` mm around spongy bone.

        ``offset`` (HU) and ``yellow`` (fat fraction) are how that departs from the patient's.
        """
        inside = distance < canvas.edge
        if not inside.any():
            return
        shell = np.zeros(distance.shape, np.float32)
        w = canvas.world[window]
        uneven = self._cortex.at(w.x[inside], w.y[inside], w.z[inside])
        thickness = np.broadcast_to(np.float32(thickness), distance.shape)[inside]
        shell[inside] = np.clip(thickness * (1 + np.float32(0.22) * uneven), 0.6, 12)
        canvas.paint(window, distance, Tissue.COMPACT_BONE, structure)
        # Trabeculae are denser towards the shell.
        offset = offset + 55 * np.exp(np.clip(distance + shell, -30, 0) / 3)
        canvas.marrow[0][window][inside] = offset[inside]
        canvas.marrow[1][window][inside] = np.broadcast_to(yellow, distance.shape)[inside]
        canvas.paint(window, distance + shell, Tissue.SPONGY_BONE, structure)

    def _lay_hip(self, canvas: Canvas, window: Window, sign: int) -> None:
        p = canvas.firm[window].side(sign)
        distance = bones.hip(p)
        head = bones.head_distance(p)
        canvas.paint(window, np.maximum(head - 3.2, distance - 5), Tissue.CARTILAGE)
        roof = np.exp(-np.maximum(head - 4, 0) / 9) * np.clip((p.z + 12) / 20, 0, 1)
        thickness = self.patient.cortex * (1.45 + 1.3 * roof)
        self._lay_bone(canvas, window, distance, thickness, 120 * roof, Structure.BONES)

    def _lay_femur(self, canvas: Canvas, window: Window, sign: int) -> None:
        p = canvas.firm[window].side(sign)
        distance = bones.femur(p)
        head = bones.head_distance(p) + bones.HEAD_RADIUS
        shaft = np.clip((-28 - p.z) / 32, 0, 1)
        thickness = self.patient.cortex * (1.25 + 4.2 * shaft)
        neck = np.clip((head - 20) / 20, 0, 1)
        offset = 130 * np.exp(-((head / 20) ** 2)) + 20 - 90 * neck - 120 * shaft
        # The marrow of the head and of the shaft is yellow early in life.
        yellow = 0.22 - 0.12 * np.exp(-(((head - 38) / 14) ** 2))
        self._lay_bone(canvas, window, distance, thickness, offset, Structure.BONES, yellow)
        name = Structure.FEMORAL_HEAD_LEFT if sign > 0 else Structure.FEMORAL_HEAD_RIGHT
        near = (distance < 0) & (head < bones.HEAD_RADIUS + 12) & (p.z > -26)
        canvas.structure[window][near] = name

    def _lay_gas(self, canvas: Canvas, scan: str) -> None:
        for pocket in self._gas[scan]:
            loop = self.organs.loops[pocket.loop]
            window = canvas.soft.window(pocket.region.box(3))
            if window is None:
                continue
            p = canvas.soft[window]
            lumen = loop.tube.distance(p) + canvas.ripple[window] + loop.wall
            gas = np.maximum(lumen + 0.4, pocket.region.distance(p))
            gas = np.maximum(gas, p.y - np.float32(pocket.level_y))
            # Only where this lumen is what one sees: other organs may lie over the loop.
            content = canvas.tissue[window] == Tissue.BOWEL_CONTENT
            canvas.paint(window, np.where(content, gas, np.float32(9)), Tissue.GAS)


def _both_sides(points: Points, shape: Loft | Tube | Ellipsoid) -> Iterator[tuple[Window, Points]]:
    """Yield for the left and the right side the window of ``shape`` and its points."""
    for sign in (1, -1):
        window = points.window(side_box(shape.box(4), sign))
        if window is not None:
            yield window, points[window].side(sign)
