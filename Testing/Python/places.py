"""Where the repository and the optional real data lie."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
REAL_DATA = REPOSITORY.parent / "shared" / "data"


def module_folder(name: str) -> Path:
    """Where a module's files lie: in the repository, or where a test has installed them."""
    installed = os.environ.get("SYNTHETIC_CT_INSTALLED")
    return Path(installed) if installed else REPOSITORY / name
