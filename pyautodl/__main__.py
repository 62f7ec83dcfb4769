"""`python -m pyautodl`."""

import sys

from pyautodl.cli import main

sys.exit(main())
