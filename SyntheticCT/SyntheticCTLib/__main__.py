"""``python -m SyntheticCTLib`` is the command ``synthetic-ct``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
