"""The model bundle: a folder with model.json and weights.safetensors, sealed by SHA-256.

What the card (model.json) tells is read without torch; the weights need it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_folder
from SyntheticCTLib.normalization.nyul import NyulStandard

if TYPE_CHECKING:
    import torch

    from SyntheticCTLib.network.gan import Generator

FORMAT = 1
CARD = "model.json"
WEIGHTS = "weights.safetensors"
DEMO = "demo"
"""Stands for the demo model, wherever it is installed."""


@dataclass(frozen=True)
class Domain:
    """What the model was trained for; inputs outside it are warned about.

    Attributes:
        text: for people: sequence, scanner, site, patients.
        phantom: trained on the digital phantom, so no real scan is inside.
        mean_histogram: mean histogram of the normalized training MRs (fractions).
        histogram_edges: its bin edges on the standard scale.
        largest_distance: largest distance of a training MR's histogram from the mean
            (half the sum of absolute differences, 0 to 1).
        smallest_fov_mm: smallest in-plane field of view among the training MRs.
    """

    text: str
    phantom: bool
    mean_histogram: tuple[float, ...]
    histogram_edges: tuple[float, ...]
    largest_distance: float
    smallest_fov_mm: float


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a bundle tells of its model without the weights.

    Attributes:
        network: width, depth and blocks of the generator.
        nyul: standard scale of the training MRs.
        mr_range: values of the standard scale that become -1 and 1.
        hu_range: CT numbers that -1 and 1 stand for.
        spacing_mm: network grid (i, j, k).
        domain: see :class:`Domain`.
        record: how it was trained: settings, patients (numbered, not named), losses, versions.
        sha256: hash of everything in the bundle; "" before it was saved.
    """

    network: dict[str, int]
    nyul: NyulStandard
    mr_range: tuple[float, float]
    hu_range: tuple[float, float]
    spacing_mm: tuple[float, float, float]
    domain: Domain
    record: dict[str, Any]
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelBundle(ModelCard):
    """A trained generator with all that is needed to use it rightly.

    Attributes:
        weights: generator weights by name.
    """

    weights: dict[str, torch.Tensor] = field(repr=False)

    def generator(self, device: str = "cpu") -> Generator:
        """Return the generator with its weights, ready for prediction."""
        import torch

        from SyntheticCTLib.network.gan import Generator

        network = Generator(**self.network)
        network.load_state_dict(self.weights)
        return network.eval().to(device, memory_format=torch.channels_last)


def save_bundle(bundle: ModelBundle, folder: str | os.PathLike) -> Path:
    """Write ``bundle`` into ``folder``, whole or not at all, and return the folder."""
    from safetensors.torch import save

    weights = save({name: tensor.contiguous() for name, tensor in bundle.weights.items()})
    card = {
        "format": FORMAT,
        "network": bundle.network,
        "nyul": bundle.nyul.to_json(),
        "mr_range": list(bundle.mr_range),
        "hu_range": list(bundle.hu_range),
        "spacing_mm": list(bundle.spacing_mm),
        "domain": asdict(bundle.domain),
        "record": bundle.record,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    card["sha256"] = _seal(card)
    with staged_folder(folder) as stage:
        (stage / WEIGHTS).write_bytes(weights)
        (stage / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return Path(folder)


def read_card(folder: str | os.PathLike) -> ModelCard:
    """Read and verify the card of a bundle; its weights are neither read nor verified.

    Raises:
        SyntheticCTError: no bundle there, a truncated or altered card, another format.
    """
    folder = Path(folder)
    content = _content(folder)
    return ModelCard(**_fields(content, folder))


def load_bundle(folder: str | os.PathLike) -> ModelBundle:
    """Read and verify a bundle.

    Raises:
        SyntheticCTError: no bundle there, truncated or altered files, another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    folder = Path(folder)
    content = _content(folder)
    try:
        data = (folder / WEIGHTS).read_bytes()
        sound = hashlib.sha256(data).hexdigest() == content["weights_sha256"]
    except (OSError, KeyError):
        sound = False
    if not sound:
        raise _altered(folder)
    fields = _fields(content, folder)
    try:
        weights = load(data)
    except SafetensorError as error:
        raise SyntheticCTError(
            f"The weights of the model bundle {folder} cannot be read: copy it again."
        ) from error
    return ModelBundle(**fields, weights=weights)


def _content(folder: Path) -> dict[str, Any]:
    """The verified content of a bundle's card, its own hash under "sha256"."""
    if not (folder / CARD).is_file() or not (folder / WEIGHTS).is_file():
        raise SyntheticCTError(
            f"{folder} is no model bundle ({CARD} and {WEIGHTS} must be in it): "
            "give the folder that the train command wrote."
        )
    try:
        content = json.loads((folder / CARD).read_text(encoding="utf-8"))
        seal = content.pop("sha256")
        sound = seal == _seal(content)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        sound = False
    if not sound:
        raise _altered(folder)
    return {**content, "sha256": seal}


def _fields(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What :class:`ModelCard` is made of."""
    if content["format"] != FORMAT:
        raise SyntheticCTError(
            f"The model bundle {folder} has format {content['format']}, this version reads "
            f"{FORMAT}: use the version that wrote it."
        )
    domain = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in content["domain"].items()
    }
    return {
        "network": content["network"],
        "nyul": NyulStandard.from_json(content["nyul"]),
        "mr_range": tuple(content["mr_range"]),
        "hu_range": tuple(content["hu_range"]),
        "spacing_mm": tuple(content["spacing_mm"]),
        "domain": Domain(**domain),
        "record": content["record"],
        "sha256": content["sha256"],
    }


def _altered(folder: Path) -> SyntheticCTError:
    return SyntheticCTError(
        f"The model bundle {folder} is truncated or was altered (its SHA-256 does not "
        "match): copy it again from where it was trained."
    )


def bundle_folder(model: str) -> Path:
    """Return the folder of a model; :data:`DEMO` stands for the demo model."""
    return demo_bundle_folder() if model == DEMO else Path(model).expanduser()


def demo_bundle_folder() -> Path:
    """Return the folder of the demo model that comes with the program."""
    library = Path(__file__).resolve().parents[1]
    for place in (library / "Resources", library.parents[1] / "Resources"):
        if (place / "DemoModel" / CARD).is_file():
            return place / "DemoModel"
    raise SyntheticCTError("The demo model is not installed: install the program again.")


def _seal(card: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()
