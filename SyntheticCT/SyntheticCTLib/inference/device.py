"""Where a network runs: the processor or a GPU."""

from __future__ import annotations

from SyntheticCTLib.basics.errors import SyntheticCTError


def choose_device(device: str) -> str:
    """Return the torch device for "auto", "cpu" or "cuda"; SyntheticCTError where it is absent."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SyntheticCTError(
            "No CUDA GPU can be used by torch here: choose --device cpu, or install a torch "
            "build that matches the GPU's driver."
        )
    return device
