"""Build of the C kernels: one static library an instruction set, one for the runtime.

PYAUTODL_NO_EXTENSION=1 installs the package without them.
"""

import os
import platform
import runpy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
VERSION_FILE = "pyautodl/_version.py"
VERSION = runpy.run_path(str(ROOT / VERSION_FILE))["__version__"]

# -ffast-math and -Ofast would switch the whole process to flush-to-zero, -march=native
# would tie the wheel to the machine that built it, contraction would change the bits
CFLAGS = [
    "-O3",
    "-g0",
    "-std=c11",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
]
ISAS = {"base": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    ISAS["avx2"] = ["-mavx2", "-mfma"]
    ISAS["avx512"] = [
        "-mavx512f",
        "-mavx512dq",
        "-mavx512bw",
        "-mavx512vl",
        "-mfma",
        "-mprefer-vector-width=512",
    ]
RUNTIME = [f"csrc/{name}.c" for name in ("run", "cpu", "threads", "pool", "quota")]


def headers() -> list[str]:
    """What every C file may include: a change in one rebuilds all."""
    csrc = ROOT / "csrc"
    found = [*csrc.rglob("*.h"), *csrc.glob("*.def"), ROOT / "setup.py"]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def library(name: str, sources: list[str], flags: list[str]) -> tuple[str, dict]:
    """One static library as build_clib wants it."""
    return name, {
        "sources": sources,
        "obj_deps": {"": [*headers(), VERSION_FILE]},
        "cflags": CFLAGS + flags,
        "macros": [("PYAD_VERSION", f'"{VERSION}"')],
    }


class BuildLibraries(build_clib):
    """Compiles the libraries side by side; each is one long compiler run."""

    def build_libraries(self, libraries):
        """Build each library in a thread of its own."""
        build_one = super().build_libraries
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            list(executor.map(lambda each: build_one([each]), libraries))


class BuildExtension(build_ext):
    """Makes `setup.py build_ext --inplace` build the libraries first."""

    def run(self):
        """Build the static libraries, then the extension that links them."""
        self.run_command("build_clib")
        super().run()


arguments = {}
if os.environ.get("PYAUTODL_NO_EXTENSION", "0") in ("", "0"):
    tables = [
        library(f"pyad_{isa}", [f"csrc/isa/{isa}.c"], flags)
        for isa, flags in ISAS.items()
    ]
    arguments = {
        # linked in this order: the runtime refers to the tables
        "libraries": [library("pyad_runtime", RUNTIME, []), *tables],
        "cffi_modules": ["csrc/build_ffi.py:ffibuilder"],
        "cmdclass": {"build_clib": BuildLibraries, "build_ext": BuildExtension},
        "options": {"bdist_wheel": {"py_limited_api": "cp311"}},
    }

setup(**arguments)
