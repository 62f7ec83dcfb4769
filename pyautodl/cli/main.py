"""Reads the command line and runs a command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pyautodl._version import __version__
from pyautodl.errors import PyautodlError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        arguments: what stands behind `pyautodl`; default those of the process.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except (PyautodlError, ValueError, OSError, ImportError) as error:
        print(f"pyautodl: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pyautodl: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyautodl", description="Deep learning on the CPU."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo", help="train a network on handwritten digits and show how it does"
    )
    demo.add_argument(
        "name",
        nargs="?",
        default="cnn",
        choices=("cnn", "lstm", "autoencoder"),
        help="which network (default: cnn)",
    )
    demo.add_argument(
        "--out",
        type=Path,
        help="folder (default: pyautodl-demo, pyautodl-demo-lstm, ...)",
    )
    demo.add_argument("--seed", type=int, default=0, help="decides all that is drawn")
    demo.add_argument("--epochs", type=int, help="passes over the training part")
    demo.add_argument("--threads", type=int, help="threads at most")
    demo.add_argument("--quiet", action="store_true", help="no progress bar")
    demo.set_defaults(run=_demo)
    predict = commands.add_parser("predict", help="classify image files")
    predict.add_argument("model", type=Path, help="the demo's model.safetensors")
    predict.add_argument("images", type=Path, nargs="+", help="image files")
    predict.set_defaults(run=_predict)
    doctor = commands.add_parser("doctor", help="show what runs where on this machine")
    doctor.set_defaults(run=_doctor)
    return parser


# each command imports what it needs when it is run


def _demo(options: argparse.Namespace) -> int:
    from pyautodl.cli.demo import run

    return run(options)


def _predict(options: argparse.Namespace) -> int:
    from pyautodl.cli.predict import run

    return run(options)


def _doctor(options: argparse.Namespace) -> int:
    from pyautodl.config import show_config

    show_config()
    return 0
