"""Python packages that Slicer does not bring along: asked for at first use, in one question."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from SyntheticCTLib.basics.errors import SyntheticCTError

TORCH = "torch"
TORCH_VERSION = ">=2.6,<3"

REQUIREMENTS = {
    "safetensors": "safetensors>=0.5",
    "plastimatch": "plastimatch>=1.10",
    "skimage": "scikit-image>=0.25",
    "matplotlib": "matplotlib>=3.8",
    "jinja2": "jinja2>=3.1",
    "reportlab": "reportlab>=4.2",
    "openpyxl": "openpyxl>=3.1",
    "pymedphys": "pymedphys>=0.40",
    "pydosert": "pydosert>=1.5,<2",
    "pyradmc": "pyradmc==0.2.1",
    "numba": "numba>=0.62",
    "dask": "dask>=2024.8",
    "distributed": "distributed>=2024.8",
}
"""What pip is asked for, by the name under which it is imported."""

_EVALUATION = ("skimage", "matplotlib", "jinja2", "reportlab")
PURPOSES: dict[str, tuple[str, ...]] = {
    "generation": (TORCH, "safetensors"),
    "registration": ("plastimatch",),
    "training": (TORCH, "safetensors", "plastimatch"),
    "contours": ("skimage",),
    "evaluation": _EVALUATION,
    "pymedphys": ("pymedphys",),
    "recalculation": (TORCH, "pydosert"),
    "montecarlo": (TORCH, "pydosert", "pyradmc", "numba"),
    "cohort": (*_EVALUATION, "openpyxl", "plastimatch", "dask", "distributed"),
}
"""Packages by what they are needed for, as the panels name it to :func:`require`."""

_BUNDLED = ("numpy", "scipy", "SimpleITK", "pydicom", TORCH)
"""Packages that an installation must leave as they are: Slicer is running on them."""


def missing(*purposes: str) -> list[str]:
    """Return the packages that ``purposes`` need and that are not there, by import name."""
    importlib.invalidate_caches()
    names = dict.fromkeys(name for purpose in purposes for name in PURPOSES[purpose])
    return [name for name in names if importlib.util.find_spec(name) is None]


def require(*purposes: str) -> None:
    """Make sure that everything for ``purposes`` is installed; ask the user once where not.

    PyTorch comes from Slicer's PyTorch extension, which knows the right build for the machine;
    the rest from pip, which is kept from touching the packages that Slicer itself uses.

    Raises:
        SyntheticCTError: the user refused, the installation failed, or the PyTorch extension
            is not there.
    """
    absent = missing(*purposes)
    if TORCH in absent:
        _install_torch()
        absent.remove(TORCH)
    if absent:
        _install([REQUIREMENTS[name] for name in absent])
        left = missing(*purposes)
        if left:
            raise SyntheticCTError(_not_installed([REQUIREMENTS.get(name, name) for name in left]))


def _install_torch() -> None:
    from slicer.i18n import tr as _

    try:
        import PyTorchUtils
    except ImportError as error:
        raise SyntheticCTError(
            _(
                "PyTorch is not installed: install the extension PyTorch with the Extensions "
                "Manager, restart Slicer and try again."
            )
        ) from error
    logic: Any = PyTorchUtils.PyTorchUtilsLogic()
    try:
        logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH_VERSION)
    except Exception as error:  # pip's, the extension's own, or the network's
        raise SyntheticCTError(
            _(
                "PyTorch could not be installed ({error}): check the network connection, or "
                "install it with the module PyTorch Util."
            ).format(error=error)
        ) from error
    importlib.invalidate_caches()
    if importlib.util.find_spec(TORCH) is None:
        raise SyntheticCTError(
            _(
                "PyTorch was not installed, so the network cannot run: try again and agree, or "
                "install it with the module PyTorch Util."
            )
        )


def _install(requirements: Sequence[str]) -> None:
    from slicer.i18n import tr as _

    with tempfile.TemporaryDirectory(prefix="SyntheticCT-") as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(_pins()) + "\n", encoding="utf-8")
        try:
            _pip(list(requirements), constraints)
        except subprocess.CalledProcessError as error:
            raise SyntheticCTError(
                _(
                    "These Python packages could not be installed: {packages}. Check the network "
                    "connection (or ask whoever looks after this computer), then try again; the "
                    "log tells what pip said."
                ).format(packages=", ".join(requirements))
            ) from error
        except RuntimeError as error:
            raise SyntheticCTError(_not_installed(requirements)) from error


def _pip(requirements: list[str], constraints: Path) -> None:
    """Ask the user and install; RuntimeError where refused, CalledProcessError where failed.

    Without a main window there is nobody to ask: who runs a script wants it to run.
    """
    import slicer
    from slicer.i18n import tr as _

    asked = ", ".join(requirements)
    if slicer.util.mainWindow() is None:
        if slicer.app.testingEnabled():
            raise RuntimeError("tests install nothing")
        logging.warning("SyntheticCT installs Python packages that it needs: %s", asked)
    else:
        # Slicer's own question has the packages behind a button.
        question = _(
            "SyntheticCT needs Python packages that are not installed: {packages}. Install "
            "them now? This takes a few minutes and an Internet connection."
        ).format(packages=asked)
        if slicer.app.testingEnabled() or not slicer.util.confirmOkCancelDisplay(question):
            raise RuntimeError("refused")
        try:
            from slicer.packaging import pip_install
        except ImportError:  # before Slicer 5.12
            pass
        else:
            pip_install(requirements, constraints=constraints, requester="SyntheticCT")
            return
    slicer.util.pip_install([*requirements, "-c", str(constraints)])


def _pins() -> list[str]:
    pins = []
    for name in _BUNDLED:
        try:
            pins.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return pins


def _not_installed(requirements: Sequence[str]) -> str:
    from slicer.i18n import tr as _

    return _(
        "These Python packages are needed and were not installed: {packages}. Try again and "
        "agree to the installation."
    ).format(packages=", ".join(requirements))
