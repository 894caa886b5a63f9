"""``python -m SyntheticCTLib`` is the command ``synthetic-ct``."""

import sys

from SyntheticCTProgram.program import main

if __name__ == "__main__":
    sys.exit(main())
