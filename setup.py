"""Build of the C kernels: a static library each for the runtime and, in every
instruction set, for the table of kernels and each family of them.

PYAUTODL_NO_EXTENSION=1 installs the package without them; PYAUTODL_BUILD_ISAS=avx512,base
builds those tables alone, for who works on the kernels.
"""

import copy
import os
import platform
import re
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
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
    # nothing unwinds through C; the tables would be a thirtieth of the wheel
    "-fno-asynchronous-unwind-tables",
    "-Wall",
    "-Wextra",
]
ISAS = {"base": []}
X86 = platform.machine().lower() in ("x86_64", "amd64")
if X86:
    ISAS["avx2"] = ["-mavx2", "-mfma"]
    ISAS["avx512"] = [
        "-mavx512f",
        "-mavx512dq",
        "-mavx512bw",
        "-mavx512vl",
        "-mfma",
        "-mprefer-vector-width=512",
    ]
if os.environ.get("PYAUTODL_BUILD_ISAS"):
    ISAS = {name: ISAS[name] for name in os.environ["PYAUTODL_BUILD_ISAS"].split(",")}
# What would make the wheel larger without need: copies of the loops of reductions for each
# answer to a question asked inside them (0.1 MB, no slower without), of products and recurrent
# layers for steps of one element (0.1 MB, no slower without), all that -O3 writes out anew of
# images read at places (half of them, no slower without), and of families of whole numbers,
# small functions and images in the table of the oldest x86 machines (0.2 MB).
SMALLER = {
    **{(isa, "reduce_tpl"): ["-fno-unswitch-loops"] for isa in ISAS if isa != "base"},
    **{
        (isa, f"{family}_tpl"): ["-fno-split-loops", "-fno-version-loops-for-strides"]
        for family in ("matmul", "rnn")
        for isa in ISAS
    },
    **{(isa, "grid_sample_tpl"): ["-O2"] for isa in ISAS},
    **{
        ("base", f"{family}_tpl"): ["-O2"]
        for family in (
            "augment",
            "copy",
            "eltwise",
            "index",
            "interpolate",
            "reduce",
            "sort",
        )
        if X86
    },
}
# what GCC knows and other compilers may refuse
REFUSED_BY_SOME = ("-fno-split-loops", "-fno-version-loops-for-strides")
# which instruction sets were built: where others are, what names them is compiled anew
CHOSEN = "build/instruction-sets"
RUNTIME = [
    f"csrc/runtime/{name}.c"
    for name in ("run", "cpu", "threads", "shares", "memory", "quota")
]
KERNELS = sorted(path.stem for path in (ROOT / "csrc/kernels").glob("*_tpl.h"))
INCLUDE = re.compile(r'^#include "(.+)"', re.MULTILINE)


def included(*sources: str) -> list[str]:
    """The files and all that they include: what compiles them anew when it changes."""
    found: set[Path] = set()
    waiting = [ROOT / source for source in sources]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for name in INCLUDE.findall(path.read_text()):
            beside = path.parent / name
            waiting.append(beside if beside.is_file() else ROOT / "csrc" / name)
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def library(
    name: str,
    sources: list[str],
    flags: list[str],
    others: list[str],
    macros: dict[str, str],
    written: tuple[str, ...] = (),
) -> tuple[str, dict]:
    """One static library as build_clib wants it.

    `others`: what only macros name; `written`: what it depends on, but the build writes.
    """
    return name, {
        "sources": sources,
        "obj_deps": {"": [*included(*sources, *others), "setup.py", *written]},
        "include_dirs": ["csrc"],
        "cflags": CFLAGS + flags,
        "macros": list(macros.items()),
    }


def isa_libraries(isa: str, flags: list[str]) -> list[tuple[str, dict]]:
    """The table of an instruction set, then the families of kernels that it names."""
    macros = {"ISA": isa, "ISA_FILE": f'"isa/{isa}.h"'}
    isa_file = f"csrc/isa/{isa}.h"
    families = [
        library(
            f"pyad_{isa}_{kernels.removesuffix('_tpl')}",
            ["csrc/isa/unit.c"],
            flags + SMALLER.get((isa, kernels), []),
            [isa_file, f"csrc/kernels/{kernels}.h"],
            {**macros, "TEMPLATE": f'"kernels/{kernels}.h"'},
        )
        for kernels in KERNELS
    ]
    table = library(f"pyad_{isa}", ["csrc/isa/table.c"], flags, [isa_file], macros)
    return [table, *families]


class BuildLibraries(build_clib):
    """Compiles the libraries side by side; each is one long compiler run."""

    def build_libraries(self, libraries):
        """Build each library in a thread and a folder of its own."""
        chosen, text = ROOT / CHOSEN, " ".join(ISAS)
        if not chosen.is_file() or chosen.read_text() != text:
            chosen.parent.mkdir(exist_ok=True)
            chosen.write_text(text)
        refused = {flag for flag in REFUSED_BY_SOME if not self.accepts(flag)}
        for _, what in libraries:
            what["cflags"] = [flag for flag in what["cflags"] if flag not in refused]
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            list(executor.map(self.build_one, libraries))

    def accepts(self, flag):
        """Whether the compiler compiles an empty file with the flag."""
        empty = ["-x", "c", os.devnull, "-c", "-o", os.devnull]
        command = [*self.compiler.compiler, flag, *empty]
        return subprocess.run(command, capture_output=True).returncode == 0

    def build_one(self, named):
        """Build one library; the same source goes into many, so its object has a folder."""
        builder = copy.copy(self)
        builder.build_temp = str(Path(self.build_temp) / named[0])
        super(BuildLibraries, builder).build_libraries([named])


class BuildExtension(build_ext):
    """Makes `setup.py build_ext --inplace` build the libraries first."""

    def run(self):
        """Build the static libraries, then the extension that links them."""
        self.run_command("build_clib")
        for extension in self.extensions:
            if extension.name == "pyautodl._native":
                extension.depends.append(CHOSEN)
        if sys.platform == "linux" and not (self.inplace or self.editable_mode):
            # the names of functions, for profilers, would be a fiftieth of the wheel
            for extension in self.extensions:
                extension.extra_link_args.append("-Wl,--strip-all")
        super().run()


def dispatch() -> Extension:
    """The extension of what Python does at every call, for all its versions from 3.11 on.

    It reaches the kernels through the other extension.
    """
    sources = sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "csrc/dispatch").glob("*.c")
    )
    return Extension(
        "pyautodl._dispatch",
        sources,
        include_dirs=["csrc"],
        depends=[*included(*sources), "setup.py"],
        define_macros=[("Py_LIMITED_API", "0x030b0000")],
        extra_compile_args=[] if os.name == "nt" else [*CFLAGS, "-O2"],
        py_limited_api=True,
    )


arguments = {}
if os.environ.get("PYAUTODL_NO_EXTENSION", "0") in ("", "0"):
    kernels = [each for isa in ISAS.items() for each in isa_libraries(*isa)]
    macros = {"PYAD_VERSION": f'"{VERSION}"'}
    macros |= {f"PYAD_HAS_{isa.upper()}": "1" for isa in ISAS}
    arguments = {
        # linked in this order: the runtime refers to the tables
        "libraries": [
            library("pyad_runtime", RUNTIME, [], [VERSION_FILE], macros, (CHOSEN,)),
            *kernels,
            # called by kernels, on single numbers
            library(
                "pyad_special",
                ["csrc/loss/ctc.c", "csrc/math/special.c", "csrc/sort/radix.c"],
                ["-O2"],
                [],
                {},
            ),
        ],
        "ext_modules": [dispatch()],
        "cffi_modules": ["csrc/build_ffi.py:ffibuilder"],
        "cmdclass": {"build_clib": BuildLibraries, "build_ext": BuildExtension},
        "options": {"bdist_wheel": {"py_limited_api": "cp311"}},
    }

setup(**arguments)
