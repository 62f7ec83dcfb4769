"""What is installed: size, dependencies, import time, instruction sets."""

import importlib
import importlib.metadata
import os
import re
import runpy
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import pyautodl as ad
from pyautodl import _installation
from pyautodl.backends import codes, native
from pyautodl.errors import BackendError

ROOT = Path(__file__).resolve().parent.parent
EXTENSION = next(iter(Path(ad.__file__).parent.glob("_native*")), None)


def _python(code, **environment):
    """Run code in a new interpreter; its status and what it prints."""
    inherited = {**os.environ, **environment}
    # an installed package comes with its bytecode
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=inherited,
        cwd=ROOT,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_four_dependencies_and_no_more():
    needed = importlib.metadata.requires("pyautodl")
    plain = {re.match(r"[\w-]+", each)[0] for each in needed if "extra" not in each}
    assert plain == {"numpy", "cffi", "safetensors", "tqdm"}


def test_extension_is_small(compiled):
    assert EXTENSION.stat().st_size < 12_000_000


def test_import_is_fast():
    code = (
        "import time; began = time.thread_time(); import numpy; "
        "between = time.thread_time(); import pyautodl; "
        "print(between - began, time.thread_time() - between)"
    )

    def is_fast():
        # the time on the processor, as other tests run beside this one; one that needs 67 ms
        # for NumPy is slow itself
        numpy, own = map(float, _python(code)[1].split())
        return own < max(0.05, 0.75 * numpy)

    assert any(is_fast() for _ in range(25))


def test_import_is_light():
    code = (
        "import sys, numpy; before = set(sys.modules); import pyautodl; "
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = set(_python(code)[1].split())
    packages = {name.split(".")[0] for name in loaded}
    heavy = {
        "matplotlib",
        "PIL",
        "tqdm",
        "numba",
        "torch",
        "onnx",
        "safetensors",
        "sklearn",
    }
    assert not packages & heavy
    later = {"functional.networks", "linalg", "nn", "ops.conv", "optim", "train"}
    assert not loaded & {f"pyautodl.{name}" for name in later}


def test_networks_functions_are_loaded_by_several_threads_at_once():
    code = (
        "import threading, pyautodl as ad\n"
        "x, seen, start = ad.ones(1, 1, 4, 4), [], threading.Barrier(8)\n"
        "def run():\n"
        "    start.wait()\n"
        "    seen.append(ad.functional.avg_pool2d(ad.conv2d(x, x), 1).item())\n"
        "threads = [threading.Thread(target=run) for _ in range(8)]\n"
        "for each in threads: each.start()\n"
        "for each in threads: each.join()\n"
        "print(*seen)"
    )
    assert _python(code) == (0, " ".join(["16.0"] * 8), "")


def test_star_import_brings_networks_functions():
    code = "from pyautodl.functional import *; print(conv2d.__name__, dropout.__name__)"
    assert _python(code) == (0, "conv2d dropout", "")


def test_star_import_of_the_package_brings_networks_functions():
    code = (
        "from pyautodl import *\n"
        "print(conv2d.__name__, dropout.__name__, set_conv_algorithm.__name__, relu.__name__)"
    )
    assert _python(code) == (0, "conv2d dropout set_conv_algorithm relu", "")


def test_pickles_with_the_former_places_of_functions_load():
    code = (
        "import pickle, pyautodl as ad\n"
        "kept = [pickle.loads(b'cpyautodl.functional.' + name + b'\\n.') for name in (\n"
        "    b'dropout\\ndropout', b'pool\\nmax_pool2d', b'loss.classes\\ncross_entropy')]\n"
        "f = ad.nn.functional\n"
        "print(kept == [f.dropout, f.max_pool2d, f.cross_entropy], callable(ad.dropout))\n"
        "from pyautodl.functional.conv import conv2d\n"
        "import pyautodl.functional.norm\n"
        "print(conv2d is ad.conv2d, callable(ad.functional.norm))"
    )
    assert _python(code) == (0, "True True\nTrue True", "")


def test_no_numpy_headers(compiled):
    sources = [
        *ROOT.glob("csrc/**/*.[ch]"),
        ROOT / "csrc/build_ffi.py",
        ROOT / "setup.py",
    ]
    assert sources
    for path in sources:
        assert not re.search(r"numpy/|get_include", path.read_text()), path
    assert "abi3" in EXTENSION.name


def test_python_and_c_have_the_same_numbers(compiled):
    lib = importlib.import_module("pyautodl._native").lib
    # native.py reads these from the extension
    unshared = re.compile("OK|ERROR_.*|TABLE|NUM_DTYPES")
    names = [name for name in dir(lib) if name.isupper()]
    assert [name for name in names if not name.startswith("PYAD_")] == []
    in_c = {
        name.removeprefix("PYAD_"): getattr(lib, name)
        for name in names
        if not unshared.fullmatch(name.removeprefix("PYAD_"))
    }
    in_python = {name: value for name, value in vars(codes).items() if name.isupper()}
    assert in_python == in_c


def test_no_openmp(compiled):
    assert b"libgomp" not in EXTENSION.read_bytes()
    assert "-fopenmp" not in (ROOT / "setup.py").read_text()


@pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang")
@pytest.mark.parametrize(
    "template", sorted(each.name for each in ROOT.glob("csrc/kernels/*_tpl.h"))
)
def test_kernels_are_c_for_clang_too(template):
    defines = [
        "-DISA=base",
        '-DISA_FILE="isa/base.h"',
        f'-DTEMPLATE="kernels/{template}"',
    ]
    command = ["clang", "-std=c11", "-fsyntax-only", "-Icsrc", *defines]
    done = subprocess.run(
        [*command, "csrc/isa/unit.c"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("family", ["conv", "reduce", "random"])
def test_a_family_is_built_anew_for_what_the_compiler_reads(family, monkeypatch):
    setuptools = pytest.importorskip("setuptools")
    given = {}
    monkeypatch.setattr(setuptools, "setup", given.update)
    monkeypatch.setenv("PYAUTODL_NO_EXTENSION", "0")
    monkeypatch.setenv("PYAUTODL_BUILD_ISAS", "base")
    runpy.run_path(str(ROOT / "setup.py"))
    library = dict(given["libraries"])[f"pyad_base_{family}"]
    defines = [f"-D{name}={value}" for name, value in library["macros"]]
    done = subprocess.run(
        ["gcc", "-MM", "-Icsrc", *defines, *library["sources"]],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    read = done.stdout.replace("\\\n", " ").split(":", 1)[1].split()
    read = {Path(ROOT, each).resolve() for each in read}
    watched = {Path(ROOT, each) for each in library["obj_deps"][""]}
    assert watched == read | {ROOT / "setup.py"}


def test_version_is_one():
    assert ad.__version__ == importlib.metadata.version("pyautodl")


def test_environment_forces_the_instruction_set(compiled):
    for isa in native.isa_names():
        code = "import pyautodl; print(pyautodl.native.current_isa())"
        assert _python(code, PYAUTODL_ISA=isa)[1] == isa


def test_unknown_instruction_set_lists_the_choices(compiled):
    status, _, error = _python("import pyautodl", PYAUTODL_ISA="sse9")
    assert status != 0
    assert "'sse9' is not among this machine's" in error
    assert native.isa_names()[-1] in error
    with pytest.raises(BackendError, match="not among this machine's"):
        native.use_isa("sse9")


@pytest.mark.parametrize("name", ["PYAUTODL_ISA", "PYAUTODL_NUM_THREADS"])
@pytest.mark.parametrize(
    "start", ["import pyautodl", "import runpy; runpy.run_module('pyautodl')"]
)
def test_wrong_settings_are_named_without_the_lines_that_read_them(
    compiled, start, name
):
    status, _, error = _python(start, **{name: "foo"})
    assert status != 0
    assert error.count("pyautodl/") == 1
    assert error.splitlines()[-1].startswith(f"pyautodl.errors.BackendError: {name}")


def test_environment_sets_the_threads(compiled):
    code = "import pyautodl; print(pyautodl.get_num_threads())"
    assert _python(code, PYAUTODL_NUM_THREADS="3")[1] == "3"
    status, _, error = _python(code, PYAUTODL_NUM_THREADS="many")
    assert status != 0
    assert "PYAUTODL_NUM_THREADS must be a number from 1 to 64" in error


def test_backends_are_exact():
    with pytest.raises(BackendError, match="unknown; choose one of 'native', 'jit'"):
        ad.use_backend("cuda")
    with ad.use_backend("reference"):
        assert ad.current_backend() == "reference"
        assert (ad.ones(2) + 1).tolist() == [2.0, 2.0]


def test_a_backend_is_chosen_by_a_statement_too():
    best = ad.current_backend()
    ad.use_backend("reference")
    try:
        assert ad.current_backend() == "reference"
        with pytest.raises(BackendError):
            ad.use_backend("cuda")
        assert ad.current_backend() == "reference"
        with ad.use_backend(None):
            assert ad.current_backend() == best
        assert ad.current_backend() == "reference"
    finally:
        ad.use_backend(None)
    assert ad.current_backend() == best


def test_chosen_backends_nest_and_end():
    best = ad.current_backend()
    outer = ad.use_backend("reference")
    with outer:
        with ad.use_backend(None), outer:
            assert ad.current_backend() == "reference"
        assert ad.current_backend() == "reference"
    assert ad.current_backend() == best
    with pytest.raises(ZeroDivisionError), outer:
        raise ZeroDivisionError
    assert ad.current_backend() == best


def test_a_function_decorated_with_a_backend_runs_on_it():
    best = ad.current_backend()

    @ad.use_backend("reference")
    def backend(depth):
        return backend(depth - 1) if depth else ad.current_backend()

    assert ad.current_backend() == best
    assert backend(2) == "reference"
    assert ad.current_backend() == best


def test_a_backend_is_chosen_for_all_threads():
    found = []

    def look():
        x = ad.ones(2, requires_grad=True)
        (x * 3).sum().backward()
        found.append((ad.current_backend(), x.grad.tolist()))

    with ad.use_backend("reference"):
        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [("reference", [3.0, 3.0])] * 4


def test_without_the_extension_the_library_works():
    """Where the extension can't be imported, results are the same to rounding."""
    code = (
        "import sys; sys.modules['pyautodl._native'] = None\n"
        "import pyautodl as ad, pyautodl.nn.functional as F\n"
        "assert not ad.native.available\n"
        "x = ad.arange(12.).reshape(3, 4).requires_grad_()\n"
        "for _ in range(3):\n"
        "    x.grad = None\n"
        "    F.cross_entropy(x @ x.T, ad.arange(3)).backward()\n"
        "print(round(x.grad.sum().item(), 3)); ad.show_config()\n"
        "for _ in range(3):\n"
        "    parts = [y[:, 1:] * 2 for y in x.split(1)] + list(x.T.reshape(2, 6).unbind())\n"
        "    loss = sum((y ** 3).sum() for y in parts)\n"
        "    first, = ad.autograd.grad(loss, x, create_graph=True)\n"
        "    assert ad.autograd.grad(first.sum(), x)[0].tolist()[2] == [48, 486, 540, 594]\n"
        "    with ad.no_grad():\n"
        "        z = x.clone(); z -= 1; z[0].zero_(); z[1, 1:] += 1\n"
        "    assert z.tolist()[:2] == [[0] * 4, [3, 5, 6, 7]]\n"
    )
    status, out, error = _python(code)
    assert status == 0, error
    x = ad.arange(12.0).reshape(3, 4).requires_grad_()
    ad.nn.functional.cross_entropy(x @ x.T, ad.arange(3)).backward()
    assert out.splitlines()[0] == str(round(x.grad.sum().item(), 3))
    assert "the compiled extension is absent" in out
    assert "None" not in out


def test_models_train_infer_and_load_without_the_extension():
    code = (
        "import sys; sys.modules['pyautodl._native'] = None\n"
        "import io, pyautodl as ad; from pyautodl import nn\n"
        "model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),\n"
        "                      nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3))\n"
        "x, y = ad.randn(2, 1, 4, 4), ad.tensor([0, 2])\n"
        "optimizer = ad.optim.Adam(model.parameters())\n"
        "for _ in range(3):\n"
        "    optimizer.zero_grad()\n"
        "    nn.functional.cross_entropy(model(x), y).backward()\n"
        "    nn.utils.clip_grad_norm_(model.parameters(), 1.0); optimizer.step()\n"
        "file = io.BytesIO(); ad.save(model.state_dict(), file); file.seek(0)\n"
        "model.load_state_dict(ad.load(file)); model.eval()\n"
        "recorded = model(x)\n"
        "with ad.no_grad():\n"
        "    for _ in range(4):\n"
        "        assert ad.allclose(model(x), recorded, atol=1e-5)\n"
        "        ad.conv2d(x.contiguous(memory_format='channels_last'), model[0].weight)\n"
    )
    assert _python(code, PYAUTODL_NO_EXTENSION="1") == (0, "", "")


def test_unbuilt_sources_warn_at_import_unless_told():
    code = "import sys; sys.modules['pyautodl._native'] = None; import pyautodl"
    _, _, error = _python(code, PYAUTODL_NO_EXTENSION="")
    assert (
        error.count("RuntimeWarning: pyautodl runs without its compiled kernels") == 1
    )
    assert f"this is the source folder {ROOT}" in error
    assert _python(code, PYAUTODL_NO_EXTENSION="1") == (0, "", "")


def test_unbuilt_sources_name_the_installed_copy(tmp_path, monkeypatch):
    source, site = tmp_path / "source" / "pyautodl", tmp_path / "site" / "pyautodl"
    for package in (source, site):
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    (tmp_path / "source" / "csrc").mkdir()
    (tmp_path / "source" / "csrc" / "kernels.def").touch()
    error = ModuleNotFoundError("none", name="pyautodl._native")
    monkeypatch.setattr(sys, "path", [str(source.parent), str(site.parent)])
    assert "build it there" in _installation.absence(error, source)
    (site / "_native.abi3.so").touch()
    text = _installation.absence(error, source)
    assert f"installed copy with kernels exists at {site}" in text
    assert _installation.absence_matters(error, source)


def test_an_extension_that_does_not_load_is_not_called_absent(tmp_path):
    package = tmp_path / "pyautodl"
    package.mkdir()
    (package / "_native.abi3.so").touch()
    error = ImportError("undefined symbol: pyad_table_avx2", name="pyautodl._native")
    text = _installation.absence(error, package)
    assert text.startswith("the compiled extension does not load (undefined symbol")
    assert text.endswith("likely fix: install again")
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "kernels.def").touch()
    assert "rm -r build, if it was" in _installation.absence(error, package)


def test_an_install_without_kernels_was_meant_so(tmp_path):
    absent = ModuleNotFoundError("none", name="pyautodl._native")
    assert not _installation.absence_matters(absent, tmp_path)
    assert "with a C compiler" in _installation.absence(absent, tmp_path)
    assert _installation.absence_matters(ImportError("undefined symbol"), tmp_path)


def test_devices():
    assert str(ad.device("cpu")) == "cpu"
    assert not ad.cuda.is_available()
    ad.set_default_device("cpu")
    ad.set_default_device(None)
    assert ad.get_default_device() == ad.device("cpu")
    for choose in (ad.device, ad.set_default_device):
        with pytest.raises(BackendError, match="'cuda' is not available; choose 'cpu'"):
            choose("cuda")
    with pytest.raises(BackendError, match="not available"):
        ad.ones(2).to("cuda")
    with pytest.raises(BackendError, match="not available"):
        ad.zeros(2, device="cuda")
