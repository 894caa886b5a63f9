"""Packages that Slicer lacks: asked for once, refused and failed installations explained."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from places import REPOSITORY
from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTMRML import packages


class Slicer:
    """A Slicer without some packages, whose user and network answer as a test wants."""

    def __init__(self, monkeypatch, absent: set[str]) -> None:
        self.absent, self.asked, self.answer = absent, [], None
        self.monkeypatch = monkeypatch
        found = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name in self.absent else found(name)
        )
        i18n = ModuleType("slicer.i18n")
        i18n.tr = lambda text: text
        monkeypatch.setitem(sys.modules, "slicer.i18n", i18n)
        self.util = SimpleNamespace(
            confirmOkCancelDisplay=self.confirm,
            pip_install=lambda arguments: self.install(arguments[:-2], arguments[-1]),
            mainWindow=lambda: "a window",
        )
        self.app = SimpleNamespace(testingEnabled=lambda: False)
        slicer = ModuleType("slicer")
        slicer.__path__ = []
        slicer.util, slicer.app = self.util, self.app
        monkeypatch.setitem(sys.modules, "slicer", slicer)
        monkeypatch.setitem(sys.modules, "slicer.packaging", None)

    def confirm(self, text: str) -> bool:
        self.asked.append(text)
        return not isinstance(self.answer, RuntimeError)

    def with_packaging(self) -> None:
        module = ModuleType("slicer.packaging")

        def pip_install(requirements, constraints=None, requester=None):
            self.install(requirements, constraints)

        module.pip_install = pip_install
        self.monkeypatch.setitem(sys.modules, "slicer.packaging", module)

    def install(self, requirements, constraints) -> None:
        if self.answer is not None:
            raise self.answer
        self.constraints = Path(constraints).read_text()
        for name, requirement in packages.REQUIREMENTS.items():
            if requirement in requirements:
                self.absent.discard(name)


@pytest.fixture(params=["5.10", "5.12"])
def slicer(request, monkeypatch):
    found = Slicer(monkeypatch, {"skimage", "jinja2"})
    if request.param == "5.12":
        found.with_packaging()
    return found


def test_what_is_there_is_not_asked_for(slicer):
    slicer.absent.clear()
    packages.require("evaluation", "registration")
    assert slicer.asked == []


def test_everything_that_is_missing_is_asked_for_in_one_question(slicer):
    packages.require("evaluation", "registration")
    assert len(slicer.asked) == 1
    assert "scikit-image" in str(slicer.asked) and "jinja2" in str(slicer.asked)
    assert "matplotlib" not in str(slicer.asked)
    packages.require("evaluation")
    assert len(slicer.asked) == 1


def test_an_installation_leaves_the_packages_that_slicer_runs_on(slicer):
    packages.require("evaluation")
    import numpy

    assert f"numpy=={numpy.__version__}" in slicer.constraints.split()


def test_a_refused_installation_is_explained(slicer):
    slicer.answer = RuntimeError("declined")
    with pytest.raises(SyntheticCTError, match=r"were not installed: scikit-image.*agree"):
        packages.require("evaluation")


def test_without_a_window_nobody_is_asked(slicer):
    slicer.util.mainWindow = lambda: None
    packages.require("evaluation")
    assert slicer.asked == [] and "numpy==" in slicer.constraints
    slicer.absent.add("skimage")
    slicer.app.testingEnabled = lambda: True
    with pytest.raises(SyntheticCTError, match="were not installed: scikit-image"):
        packages.require("evaluation")


def test_an_installation_without_network_is_explained(monkeypatch):
    slicer = Slicer(monkeypatch, {"plastimatch"})
    slicer.with_packaging()
    slicer.answer = subprocess.CalledProcessError(1, "pip")
    with pytest.raises(SyntheticCTError, match=r"could not be installed: plastimatch.*network"):
        packages.require("registration")


def test_torch_comes_from_its_extension_and_never_from_pip(monkeypatch):
    slicer = Slicer(monkeypatch, {"torch", "pydosert"})
    slicer.with_packaging()
    with pytest.raises(SyntheticCTError, match="install the extension PyTorch"):
        packages.require("recalculation")
    assert slicer.asked == []

    def install(askConfirmation, torchVersionRequirement):  # as PyTorchUtils names them
        assert askConfirmation and torchVersionRequirement.startswith(">=2")
        slicer.absent.discard("torch")

    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=install)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    packages.require("recalculation")
    assert len(slicer.asked) == 1 and "pydosert>=1.5,<2" in slicer.asked[0]


def test_torch_refused_is_explained(monkeypatch):
    Slicer(monkeypatch, {"torch"})
    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=lambda **_: None)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    with pytest.raises(SyntheticCTError, match="PyTorch was not installed"):
        packages.require("generation")


def test_what_pip_is_asked_for_is_what_the_project_depends_on():
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    for name, requirement in packages.REQUIREMENTS.items():
        if name not in ("dask", "distributed"):
            assert f'"{requirement}"' in project
    assert f'"torch{packages.TORCH_VERSION}"' in project
