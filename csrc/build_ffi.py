"""cffi builder of pyautodl._native: API mode, out of line, limited API.

The interface is csrc/pyautodl.h as it stands. The kernels and the runtime are static
libraries that setup.py builds and the extension links.
"""

import sys
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
SOURCES = sorted(
    f"csrc/{path.relative_to(HERE).as_posix()}"
    for pattern in ("**/*.h", "**/*.c", "*.def", "*.py")
    for path in HERE.glob(pattern)
)

ffibuilder = cffi.FFI()
ffibuilder.cdef((HERE / "pyautodl.h").read_text())
ffibuilder.set_source(
    "pyautodl._native",
    '#include "core.h"',
    include_dirs=[str(HERE)],
    depends=[*SOURCES, "pyautodl/_version.py"],
    define_macros=[("Py_LIMITED_API", "0x030b0000")],
    extra_compile_args=[] if sys.platform == "win32" else ["-std=c11", "-O2", "-g0"],
    extra_link_args=[] if sys.platform == "win32" else ["-pthread"],
)
