"""Where this package stands, and why its compiled kernels may be absent."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["absence", "absence_matters", "compiled_copy", "is_source"]

PACKAGE = Path(__file__).resolve().parent


def is_source(package: Path = PACKAGE) -> bool:
    """Whether the package is the one in the folder of the sources, not an installed one."""
    return (package.parent / "csrc" / "kernels.def").is_file()


def compiled_copy(package: Path = PACKAGE) -> Path | None:
    """Another pyautodl on the path, with compiled kernels, that this one hides."""
    for entry in sys.path:
        spec = PathFinder.find_spec("pyautodl", [entry or os.curdir])
        if spec is None or spec.origin is None:
            continue
        found = Path(spec.origin).resolve().parent
        if found != package and any(found.glob("_native*")):
            return found
    return None


def absence(error: ImportError, package: Path = PACKAGE) -> str:
    """Why the compiled kernels are absent, and what brings them."""
    if not isinstance(error, ModuleNotFoundError) and any(package.glob("_native*")):
        fix = "install again"
        if is_source(package):
            fix = (
                "rm -r build, if it was built with other PYAUTODL_BUILD_ISAS, then python "
                "setup.py build_ext --inplace"
            )
        return f"the compiled extension does not load ({error}); likely fix: {fix}"
    if not is_source(package):
        return (
            f"the compiled extension is absent ({error}); install with a C compiler and "
            "without PYAUTODL_NO_EXTENSION"
        )
    here = (
        f"the compiled extension is absent: this is the source folder {package.parent}"
    )
    build = "python setup.py build_ext --inplace"
    copy = compiled_copy(package)
    if copy is None:
        return f"{here}; build it there: pip install -e . or {build}"
    return (
        f"{here}; an installed copy with kernels exists at {copy}: start Python in "
        f"another folder, or build here, too: {build}"
    )


def absence_matters(error: ImportError, package: Path = PACKAGE) -> bool:
    """Whether the kernels are absent against the user's wish.

    An install leaves them out only if it is told to; a source folder merely was not built,
    and an extension that is there should load.
    """
    if os.environ.get("PYAUTODL_NO_EXTENSION", "0") not in ("", "0"):
        return False
    left_out = error.name == "pyautodl._native" and isinstance(
        error, ModuleNotFoundError
    )
    return is_source(package) or not left_out
