"""pyRadMC's physics, compiled for the processor; imported only where dose is calculated.

pyRadMC keeps its sampling routines pure and scalar so that one source serves every target: its own
backends compile it for a GPU or interpret it. Here the same, unmodified functions are compiled by
numba, which is there anyway, with :func:`uniform` in place of pyRadMC's random numbers.
"""

from __future__ import annotations

import importlib
import math
import types
from collections.abc import Callable

import numpy as np
from numba import njit, uint64

_SOURCES = {  # from the functions that others call to those that call them
    "pyradmc.physics.path": ("sample_path_length",),
    "pyradmc.physics.direction": ("sample_isotropic_direction", "rotate_direction"),
    "pyradmc.physics.compton": (
        "sample_compton_energy_ratio",
        "compton_cos_theta",
        "compton_electron_cos_theta",
    ),
    "pyradmc.physics.moller": ("sample_moller_delta_energy", "moller_direction_cosines"),
    "pyradmc.physics.brems": ("bremsstrahlung_step_parameters", "sample_bremsstrahlung_energy"),
    "pyradmc.physics.roulette": ("roulette_weight",),
    "pyradmc.physics.gs": ("sample_gs_cos_theta_bilinear", "sample_gs_cos_theta_grid"),
    "pyradmc.geometry.grid": ("slab_entry_distance", "point_axis_index"),
}
OPTIONS = {"error_model": "numpy"}
"""Of the compiler: nothing is divided by 0 here, so that is not looked for."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S11, _S27, _S30, _S31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)


@njit(inline="always", **OPTIONS)
def mixed(bits):
    """The finaliser of splitmix64 (Steele et al., OOPSLA 2014): a hash of 64 bits."""
    bits = (bits ^ (bits >> _S30)) * _MIX_1
    bits = (bits ^ (bits >> _S27)) * _MIX_2
    return bits ^ (bits >> _S31)


@njit(**OPTIONS)
def random_bits(state):
    """The next 64 random bits of a stream (uint64 array of one element), by splitmix64."""
    state[0] = uint64(state[0] + _GOLDEN)
    return mixed(state[0])


@njit(**OPTIONS)
def uniform(state):
    """The next random number of a stream, from 0 to below 1."""
    return float(random_bits(state) >> _S11) * (1.0 / 9007199254740992.0)


@njit(**OPTIONS)
def stream_of(seed, history):
    """Where the stream of a history begins: it depends on nothing else."""
    return mixed(uint64(mixed(uint64(seed) + _GOLDEN) + uint64(history) * _MIX_2))


def _compiled() -> types.SimpleNamespace:
    """The functions of :data:`_SOURCES`, calling one another in their compiled form."""
    done: dict[str, Callable] = {"uniform": uniform}
    for module, names in _SOURCES.items():
        source = importlib.import_module(module)
        for name in names:
            function = getattr(source, name)
            names_there = {**function.__globals__, **done, "math": math}
            done[name] = njit(types.FunctionType(function.__code__, names_there, name), **OPTIONS)
    return types.SimpleNamespace(**done)


PHYSICS = _compiled()
