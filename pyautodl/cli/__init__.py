"""The command `pyautodl`."""

from pyautodl.cli.main import main
