"""Photons and electrons followed through densities; imported only where dose is calculated.

The loops are those of pyRadMC (photons by Woodcock tracking, electrons by condensed histories of
class II with Goudsmit-Saunderson scattering); its module docstrings tell their approximations.
Every particle has a random stream of its own that follows from its history, so that in two volumes
a history differs only from where the volumes do. All of the volume is water of other densities.

Lengths are cm, energies MeV; densities are relative to water, as they stand for g/cm3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, uint64
from pyradmc import (
    ELECTRON_MASS_MEV,
    PHOTON_ROULETTE_MEV,
    PHOTON_ROULETTE_SURVIVAL,
    PHOTON_ROULETTE_WEIGHT_CAP,
)
from pyradmc.transport.electron import BOUNDARY_NUDGE_CM, GS_STEP_ENERGY_FRACTION

from .physics import OPTIONS, PHYSICS, random_bits, stream_of, uniform

_STACK = 1000
_PHOTON, _ELECTRON, _POSITRON = 0, 1, 2
_ENTRY_NUDGE_CM = 1e-6

path_length = PHYSICS.sample_path_length
rotated = PHYSICS.rotate_direction
isotropic = PHYSICS.sample_isotropic_direction
energy_ratio = PHYSICS.sample_compton_energy_ratio
photon_cosine = PHYSICS.compton_cos_theta
recoil_cosine = PHYSICS.compton_electron_cos_theta
delta_ray = PHYSICS.sample_moller_delta_energy
moller_cosines = PHYSICS.moller_direction_cosines
bremsstrahlung = PHYSICS.bremsstrahlung_step_parameters
bremsstrahlung_energy = PHYSICS.sample_bremsstrahlung_energy
roulette = PHYSICS.roulette_weight
scattering_cosine = PHYSICS.sample_gs_cos_theta_grid
entry_distance = PHYSICS.slab_entry_distance
index_of = PHYSICS.point_axis_index


class Tables(NamedTuple):
    """Water's data on grids of log energy (see montecarlo.tables).

    Attributes:
        photon: (nodes, 4) Compton, photoelectric, pair, all; cm2/g.
        electron: (nodes, 6) CSDA range and restricted range g/cm2, Moller cross-section cm2/g,
            radiative stopping power MeV cm2/g, scattering power cm2/g, log of the screening.
        energy_of_range: (nodes,) MeV, on a grid of log restricted range.
        photon_grid, electron_grid, range_grid: (log of the first node, nodes a unit of log).
        scattering: (screenings, angles, bins) Goudsmit-Saunderson deflections.
        first_screening, first_angle: integer nodes of the first ones.
        bins_per_log: of both axes.
        least_angle: least mean square angle.
        pcut, ecut: photons and electrons below are absorbed where they are, MeV.
    """

    photon: np.ndarray
    electron: np.ndarray
    energy_of_range: np.ndarray
    photon_grid: tuple[float, float]
    electron_grid: tuple[float, float]
    range_grid: tuple[float, float]
    scattering: np.ndarray
    first_screening: int
    first_angle: int
    bins_per_log: float
    least_angle: float
    pcut: float
    ecut: float


class Medium(NamedTuple):
    """Densities on an axis-aligned grid.

    Attributes:
        density: (k, j, i) relative to water, above 0, float32.
        majorant: highest density of all volumes that share the histories.
        first: x, y, z of the grid's lower corner, cm.
        step: edges of a voxel along x, y, z, cm.
        last: x, y, z of the upper corner, cm.
    """

    density: np.ndarray
    majorant: float
    first: tuple[float, float, float]
    step: tuple[float, float, float]
    last: tuple[float, float, float]


@njit(inline="always", **OPTIONS)
def _place(grid, value, nodes):
    """Node and share of the next one, of a value on a grid of logs."""
    t = (math.log(value) - grid[0]) * grid[1]
    t = min(max(t, 0.0), float(nodes - 1))
    node = min(int(t), nodes - 2)
    return node, t - node


@njit(inline="always", **OPTIONS)
def _inside(medium, x, y, z):
    return (
        medium.first[0] <= x < medium.last[0]
        and medium.first[1] <= y < medium.last[1]
        and medium.first[2] <= z < medium.last[2]
    )


@njit(inline="always", **OPTIONS)
def _voxel(medium, x, y, z):
    nz, ny, nx = medium.density.shape
    return (
        index_of(z, medium.first[2], medium.step[2], nz),
        index_of(y, medium.first[1], medium.step[1], ny),
        index_of(x, medium.first[0], medium.step[0], nx),
    )


@njit(inline="always", **OPTIONS)
def _to_face(first, step, index, at, direction):
    if direction > 0.0:
        return (first + (index + 1) * step - at) / direction
    if direction < 0.0:
        return (first + index * step - at) / direction
    return math.inf


@njit(inline="always", **OPTIONS)
def _deposit(medium, energy, x, y, z, amount):
    if _inside(medium, x, y, z):
        k, j, i = _voxel(medium, x, y, z)
        energy[k, j, i] += amount


@njit(**OPTIONS)
def _push(stack, kinds, streams, top, kind, bits, e, w, x, y, z, ux, uy, uz):
    """Keep a particle for later; ``bits`` begin its own stream."""
    n = top[0]
    if n >= kinds.shape[0]:
        raise RuntimeError("more particles than a history can have")
    kinds[n] = kind
    streams[n] = bits
    stack[n, 0], stack[n, 1] = e, w
    stack[n, 2], stack[n, 3], stack[n, 4] = x, y, z
    stack[n, 5], stack[n, 6], stack[n, 7] = ux, uy, uz
    top[0] = n + 1


@njit(**OPTIONS)
def _annihilate(stack, kinds, streams, top, state, w, x, y, z):
    ax, ay, az = isotropic(state)
    one, other = random_bits(state), random_bits(state)
    e = ELECTRON_MASS_MEV
    _push(stack, kinds, streams, top, _PHOTON, one, e, w, x, y, z, ax, ay, az)
    _push(stack, kinds, streams, top, _PHOTON, other, e, w, x, y, z, -ax, -ay, -az)


@njit(**OPTIONS)
def _charged(energy, medium, tables, stack, kinds, streams, top, state, kind, e, w, at, along):
    """Keep an electron or positron that is set free, or leave its energy where it is."""
    x, y, z = at
    if e > tables.ecut:
        bits = random_bits(state)
        ux, uy, uz = along
        _push(stack, kinds, streams, top, kind, bits, e, w, x, y, z, ux, uy, uz)
        return
    _deposit(medium, energy, x, y, z, w * e)
    if kind == _POSITRON:
        _annihilate(stack, kinds, streams, top, state, w, x, y, z)


@njit(**OPTIONS)
def _follow_photon(energy, medium, tables, stack, kinds, streams, top, state, n):
    e, w, x, y, z = stack[n, 0], stack[n, 1], stack[n, 2], stack[n, 3], stack[n, 4]
    ux, uy, uz = stack[n, 5], stack[n, 6], stack[n, 7]
    nodes = tables.photon.shape[0]
    if not _inside(medium, x, y, z):
        a, b = medium.first, medium.last
        t = entry_distance(x, y, z, ux, uy, uz, a[0], a[1], a[2], b[0], b[1], b[2])
        if t == math.inf:
            return
        t += _ENTRY_NUDGE_CM
        x, y, z = x + t * ux, y + t * uy, z + t * uz
    while True:
        node, share = _place(tables.photon_grid, e, nodes)
        low, high = tables.photon[node], tables.photon[node + 1]
        whole = low[3] + share * (high[3] - low[3])
        t = path_length(whole * medium.majorant, state)
        x, y, z = x + t * ux, y + t * uy, z + t * uz
        if not _inside(medium, x, y, z):
            return
        k, j, i = _voxel(medium, x, y, z)
        if uniform(state) * medium.majorant >= medium.density[k, j, i]:
            continue  # nothing happens here
        chosen = uniform(state) * whole
        compton = low[0] + share * (high[0] - low[0])
        photoelectric = low[1] + share * (high[1] - low[1])
        if chosen >= compton:
            at, along = (x, y, z), (ux, uy, uz)
            if chosen < compton + photoelectric:
                _charged(
                    energy, medium, tables, stack, kinds, streams, top, state, _ELECTRON, e, w, at,
                    along,
                )  # fmt: skip
                return
            kinetic = e - 2.0 * ELECTRON_MASS_MEV
            part = uniform(state) * kinetic
            _charged(
                energy, medium, tables, stack, kinds, streams, top, state, _ELECTRON, part, w, at,
                along,
            )  # fmt: skip
            _charged(
                energy, medium, tables, stack, kinds, streams, top, state, _POSITRON,
                kinetic - part, w, at, along,
            )  # fmt: skip
            return
        ratio = energy_ratio(e, state)
        recoil = e * (1.0 - ratio)
        phi = 2.0 * math.pi * uniform(state)
        if recoil > tables.ecut:
            ex, ey, ez = rotated(ux, uy, uz, recoil_cosine(e, ratio), phi + math.pi)
            bits = random_bits(state)
            _push(stack, kinds, streams, top, _ELECTRON, bits, recoil, w, x, y, z, ex, ey, ez)
        else:
            energy[k, j, i] += w * recoil
        ux, uy, uz = rotated(ux, uy, uz, photon_cosine(e, ratio), phi)
        e *= ratio
        if e <= tables.pcut:
            energy[k, j, i] += w * e
            return
        if e < PHOTON_ROULETTE_MEV and w < PHOTON_ROULETTE_WEIGHT_CAP:
            w = roulette(w, PHOTON_ROULETTE_SURVIVAL, state)
            if w == 0.0:
                return


@njit(**OPTIONS)
def _step(tables, state, e, rho, longest):
    """Length of an electron's step, energy lost on it, and whether it ends in a delta ray or
    radiates in its middle."""
    node, share = _place(tables.electron_grid, e, tables.electron.shape[0])
    low, high = tables.electron[node], tables.electron[node + 1]
    s = min(longest, GS_STEP_ENERGY_FRACTION * (low[0] + share * (high[0] - low[0])) / rho)
    to_delta = path_length(rho * max(low[2] + share * (high[2] - low[2]), 1e-12), state)
    knocks = to_delta <= s
    s = min(s, to_delta)
    left = low[1] + share * (high[1] - low[1])
    if rho * s >= left:
        s = left / rho
        loss = e - tables.ecut
        knocks = False
    else:
        after, part = _place(tables.range_grid, left - rho * s, tables.energy_of_range.shape[0])
        energies = tables.energy_of_range
        remaining = energies[after] + part * (energies[after + 1] - energies[after])
        loss = e - min(max(remaining, tables.ecut), e)
    radiative = low[3] + share * (high[3] - low[3])
    chance, local = bremsstrahlung(e, radiative, rho, s, tables.pcut)
    return s, loss + local, knocks, uniform(state) < chance


@njit(**OPTIONS)
def _scattered(tables, state, e, mass_length):
    """Cosine by which an electron is scattered in the middle of a step."""
    node, share = _place(tables.electron_grid, e, tables.electron.shape[0])
    low, high = tables.electron[node], tables.electron[node + 1]
    angle = (low[4] + share * (high[4] - low[4])) * mass_length
    return scattering_cosine(
        tables.scattering,
        tables.first_screening,
        tables.first_angle,
        tables.scattering.shape[0],
        tables.scattering.shape[1],
        tables.scattering.shape[2],
        (low[5] + share * (high[5] - low[5])) * tables.bins_per_log,
        math.log(max(angle, tables.least_angle)) * tables.bins_per_log,
        angle,
        state,
    )


@njit(**OPTIONS)
def _follow_electron(energy, medium, tables, stack, kinds, streams, top, state, n, positron):
    e, w, x, y, z = stack[n, 0], stack[n, 1], stack[n, 2], stack[n, 3], stack[n, 4]
    ux, uy, uz = stack[n, 5], stack[n, 6], stack[n, 7]
    steps, first = medium.step, medium.first
    while True:
        k, j, i = _voxel(medium, x, y, z)
        if e <= tables.ecut:
            energy[k, j, i] += w * e
            if positron:
                _annihilate(stack, kinds, streams, top, state, w, x, y, z)
            return
        rho = float(medium.density[k, j, i])
        # A step stays in its voxel, so that its density is that of the whole step.
        face = min(
            _to_face(first[0], steps[0], i, x, ux),
            _to_face(first[1], steps[1], j, y, uy),
            _to_face(first[2], steps[2], k, z, uz),
        )
        face = max(face, 0.0) + BOUNDARY_NUDGE_CM
        s, loss, knocks, radiates = _step(tables, state, e, rho, face)
        part = uniform(state)
        s1, d1 = part * s, part * loss
        _deposit(medium, energy, x + 0.5 * s1 * ux, y + 0.5 * s1 * uy, z + 0.5 * s1 * uz, w * d1)
        e -= d1
        x, y, z = x + s1 * ux, y + s1 * uy, z + s1 * uz
        if not _inside(medium, x, y, z):
            return
        cosine = _scattered(tables, state, e, rho * s)
        ux, uy, uz = rotated(ux, uy, uz, cosine, 2.0 * math.pi * uniform(state))
        d2, s2 = loss - d1, s - s1
        if radiates and e > tables.pcut:
            photon = min(bremsstrahlung_energy(e, tables.pcut, state), e - d2)
            if photon > tables.pcut:
                weight = w
                if photon < PHOTON_ROULETTE_MEV and w < PHOTON_ROULETTE_WEIGHT_CAP:
                    weight = roulette(w, PHOTON_ROULETTE_SURVIVAL, state)
                if weight > 0.0:
                    bits = random_bits(state)
                    _push(
                        stack, kinds, streams, top, _PHOTON, bits, photon, weight, x, y, z, ux, uy,
                        uz,
                    )  # fmt: skip
            else:
                _deposit(medium, energy, x, y, z, w * photon)
            e -= photon
        _deposit(medium, energy, x + 0.5 * s2 * ux, y + 0.5 * s2 * uy, z + 0.5 * s2 * uz, w * d2)
        e -= d2
        x, y, z = x + s2 * ux, y + s2 * uy, z + s2 * uz
        if not _inside(medium, x, y, z):
            return
        if knocks and e > 2.0 * tables.ecut:
            delta = delta_ray(e, tables.ecut, state)
            cos_delta, cos_own = moller_cosines(e, delta)
            phi = 2.0 * math.pi * uniform(state)
            dx, dy, dz = rotated(ux, uy, uz, cos_delta, phi)
            bits = random_bits(state)
            _push(stack, kinds, streams, top, _ELECTRON, bits, delta, w, x, y, z, dx, dy, dz)
            ux, uy, uz = rotated(ux, uy, uz, cos_own, phi + math.pi)
            e -= delta


@njit(nogil=True, cache=True, **OPTIONS)
def follow(energies, positions, directions, seed, first_history, medium, tables, energy):
    """Follow source photons and all that they set free; add what they leave to ``energy``.

    Args:
        energies: (n,) MeV.
        positions, directions: (n, 3) cm and unit vectors, in the medium's coordinates.
        seed, first_history: photon ``m`` uses the streams of history ``first_history + m``.
        energy: (k, j, i) float64, MeV; added to.
    """
    stack = np.empty((_STACK, 8))
    kinds = np.empty(_STACK, np.int64)
    streams = np.empty(_STACK, np.uint64)
    top = np.zeros(1, np.int64)
    state = np.empty(1, np.uint64)
    for m in range(energies.shape[0]):
        top[0] = 0
        x, y, z = positions[m, 0], positions[m, 1], positions[m, 2]
        ux, uy, uz = directions[m, 0], directions[m, 1], directions[m, 2]
        bits = stream_of(seed, uint64(first_history + m))
        _push(stack, kinds, streams, top, _PHOTON, bits, energies[m], 1.0, x, y, z, ux, uy, uz)
        while top[0] > 0:
            top[0] -= 1
            n = top[0]
            state[0] = streams[n]
            if kinds[n] == _PHOTON:
                _follow_photon(energy, medium, tables, stack, kinds, streams, top, state, n)
            else:
                _follow_electron(
                    energy, medium, tables, stack, kinds, streams, top, state, n,
                    kinds[n] == _POSITRON,
                )  # fmt: skip
