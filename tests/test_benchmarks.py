"""The parts of the benchmarks that need no clock, and contestants in their processes."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from benchmarks import (
    bandwidth,
    compare,
    instructions,
    memory,
    overhead,
    peak,
    profiles,
    regression,
    results,
    roofline,
    scaling,
    steps,
)
from benchmarks.libraries import LIBRARIES, OURS, load
from benchmarks.memory import grows
from benchmarks.roofline import limits_of
from benchmarks.rows import SCALES, SUITES, Facts, rows_of
from benchmarks.timing import alternate, timing
from benchmarks.weights import initial_state
from benchmarks.work import Call, Product, Unsupported
from benchmarks.worker import Contestant, environment
from pyautodl.backends import native


def _row(name, ours, peer=None, spread=0.01, **more):
    times = {OURS: {"median_ms": ours, "spread_ms": spread}}
    ratios = {}
    if peer is not None:
        times["torch"] = {"median_ms": peer, "spread_ms": spread}
        ratios["torch"] = peer / ours
    figures = {"gflops": None, "gbs": None, "share": None, "left_out": {}}
    row = {"row": name, "times": times, "ratios": ratios, "disturbed": 0.0}
    return {**row, **figures, **more}


def _document(*rows):
    return results.document("compare", list(rows), suite="first", threads=2)


# ---- without kernels ----


def test_without_kernels_nothing_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(native, "available", False)
    with pytest.raises(Unsupported, match="pyautodl has no kernels here"):
        load(OURS, 1, None)
    assert profiles.main([]) == 1
    assert instructions.main([]) == 1
    assert capsys.readouterr().err.count("nothing is measured: pyautodl has no") == 2


# ---- options ----


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--threads", "0"], "expected a whole number from 1 on, got '0'"),
        (["--threads", "two"], "from 1 on, got 'two'"),
        (["--rounds", "4"], "from 5 on, got '4'"),
        (["--seconds", "0"], "expected seconds above 0, got '0'"),
        (["--seconds", "nan"], "expected seconds above 0, got 'nan'"),
        (["--seconds", "soon"], "expected seconds above 0, got 'soon'"),
        (["--json", "/no/such/folder/x.json"], "there is no folder '/no/such/folder'"),
        (["--markdown", "/"], "expected a file, '/' is a folder"),
        (["--roofline", "/no/such/file"], "No such file"),
        (["--roofline", __file__], "expected a result file with 'rows'"),
        (["--capability", "sse9"], "invalid choice: 'sse9'"),
        (["--only"], "expected at least one argument"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_measured(wrong, message, capsys):
    with pytest.raises(SystemExit) as status:
        steps.main(wrong)
    assert status.value.code == 2
    assert message in capsys.readouterr().err


def test_pictures_need_matplotlib(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        steps.main(["--chart", "x.png"])
    assert "matplotlib is not installed: pip install" in capsys.readouterr().err


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("benchmark", [steps, scaling, memory, overhead, bandwidth])
def test_rows_that_no_name_fits(benchmark, capsys):
    # of bandwidth before its limit is measured
    assert benchmark.main(["--only", "no such row"]) == 1
    assert "is named like that" in capsys.readouterr().err


@pytest.mark.usefixtures("compiled")
def test_bandwidth_takes_the_limits_of_a_file(monkeypatch, tmp_path):
    common = {"isa": native.current_isa(), "threads": 1}
    rows = [{"what": "fma", "gflops": 100.0}, {"what": "triad", "gbs": 10.0}]
    limits = tmp_path / "roofline.json"
    limits.write_text(json.dumps(_document(*({**row, **common} for row in rows))))
    row = _bandwidth(monkeypatch, tmp_path, "1", "--roofline", str(limits))
    assert row["limit_gbs"] == 10.0
    assert row["share"] == pytest.approx(row["gbs"] / 10.0)


@pytest.mark.usefixtures("compiled")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_bandwidth_measures_its_limit_in_turns(threads, monkeypatch, tmp_path):
    monkeypatch.delenv("CC", raising=False)
    row = _bandwidth(monkeypatch, tmp_path, threads)
    # what memory of any machine gives
    assert 0.5 < row["limit_gbs"] < 2000
    assert row["share"] == pytest.approx(row["gbs"] / row["limit_gbs"])


def _bandwidth(monkeypatch, tmp_path, threads, *options):
    """The row that the benchmark finds for a small sum."""
    monkeypatch.setattr(bandwidth, "_SUITES", {"float32": "ops"})
    file = tmp_path / "bandwidth.json"
    options = ["--threads", threads, "--seconds", "0.01", "--json", str(file), *options]
    assert bandwidth.main(["--only", "add 4 KB", "--dtype", "float32", *options]) == 0
    (row,) = results.read(file)["rows"]
    return row


@pytest.mark.usefixtures("compiled")
def test_a_roofline_of_something_else_is_named(tmp_path, capsys):
    path = tmp_path / "steps.json"
    path.write_text(json.dumps(_document(_row("MLP B1", 1.0))))
    assert steps.main(["--only", "MLP B1", "--roofline", str(path)]) == 1
    assert "measure it with python -m benchmarks.roofline" in capsys.readouterr().err


def test_regression_of_something_else_is_refused(tmp_path, capsys):
    path = tmp_path / "steps.json"
    path.write_text(json.dumps(_document(_row("MLP B1", 1.0))))
    for wrong in ([str(path), "absent.json"], [str(path), str(path), "--library", "x"]):
        with pytest.raises(SystemExit):
            regression.main(wrong)
    error = capsys.readouterr().err
    assert "argument after: " in error
    assert "no row of x in common" in error


def test_a_roofline_needs_a_compiler(monkeypatch, capsys):
    monkeypatch.setenv("CC", "no-such-compiler")
    assert roofline.main([]) == 1
    assert "there is no C compiler 'no-such-compiler'" in capsys.readouterr().err


@pytest.mark.usefixtures("compiled")
def test_a_refused_environment_is_named(monkeypatch, capsys):
    monkeypatch.setenv("PYAUTODL_ISA", "sse9")
    assert steps.main(["--only", "MLP B1"]) == 1
    error = capsys.readouterr().err
    assert "left out: pyautodl: PYAUTODL_ISA='sse9' is not among" in error
    assert "Traceback" not in error


@pytest.mark.usefixtures("compiled")
def test_instructions_need_the_table_that_is_counted(monkeypatch, capsys):
    before = native.get_num_threads()
    monkeypatch.setattr(native, "isa_names", lambda: ["base"])
    try:
        assert instructions.main([]) == 1
        assert "the avx2 table is not built" in capsys.readouterr().err
        assert profiles.main(["--only", "MLP B1", "--threads", "65"]) == 1
        assert "n must be a number from 1 to 64, got 65" in capsys.readouterr().err
    finally:
        native.set_num_threads(before)


# ---- interrupted ----


@pytest.mark.usefixtures("compiled")
def test_what_is_measured_before_an_interruption_is_kept(monkeypatch, tmp_path, capsys):
    measure_row, file = compare._measure_row, tmp_path / "steps.json"

    def until_the_second(contestants, suite, facts, options, limits):
        if facts.name == "MLP B32":
            raise KeyboardInterrupt
        return measure_row(contestants, suite, facts, options, limits)

    monkeypatch.setattr(compare, "_measure_row", until_the_second)
    fast = ["--seconds", "0.01", "--rounds", "5", "--only", "MLP"]
    assert steps.main([*fast, "--json", str(file)]) == 130
    assert [row["row"] for row in results.read(file)["rows"]] == ["MLP B1"]
    assert "what is measured so far is kept" in capsys.readouterr().err


def _twice(function):
    """The function, interrupted when it is called for the third time."""
    calls = []

    def counted(*arguments, **options):
        calls.append(arguments)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return counted


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("benchmark", "measure", "arguments"),
    [
        (scaling, "_measure", ["--seconds", "0.01", "--rounds", "5"]),
        (memory, "_step", ["--only", "MLP", "--peer"]),
        (overhead, "alternate", ["--seconds", "0.01"]),
    ],
)
def test_other_benchmarks_keep_their_rows(
    benchmark, measure, arguments, monkeypatch, tmp_path, capsys
):
    if benchmark is scaling:
        points = list(scaling._curves(1).items())[:1]
        monkeypatch.setattr(
            scaling, "_curves", lambda _: {f"{i}": points[0][1][:1] for i in range(3)}
        )
    monkeypatch.setattr(benchmark, measure, _twice(getattr(benchmark, measure)))
    file = tmp_path / "rows.json"
    assert benchmark.main([*arguments, "--json", str(file)]) == 130
    assert len(results.read(file)["rows"]) == 2
    assert "what is measured so far is kept" in capsys.readouterr().err


def test_an_interruption_before_the_first_row(monkeypatch, tmp_path, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "_measure_row", interrupt)
    file = tmp_path / "steps.json"
    assert steps.main(["--only", "MLP B1", "--json", str(file)]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert not file.exists()


def test_a_contestant_is_closed_in_the_middle_of_a_call():
    ours = Contestant(OURS, 1)
    ours.prepare("gemm", "GEMM 64³")
    ours._process.send_signal(signal.SIGCONT)
    pickle.dump(("time", 10**9), ours._process.stdin)
    began = time.perf_counter()
    ours.close()
    assert time.perf_counter() - began < 30


# ---- timing ----


def test_median_and_spread():
    found = timing([1.0, 2.0, 3.0, 4.0, 100.0])
    assert found.median == 3.0
    assert found.spread > 0


def test_contestants_take_turns():
    turns = []

    def timer(name):
        def seconds(count):
            turns.append(name)
            return 0.01

        return seconds

    found = alternate([timer("a"), timer("b")], seconds=0.2, rounds=6)
    assert turns == ["a", "b"] * 7  # once to see how long each takes
    assert [each.median for each in found] == [0.01, 0.01]


# ---- regression ----


@pytest.mark.parametrize(
    ("before", "after", "spread", "kind"),
    [
        (1.0, 1.2, 0.01, "slower"),
        (1.2, 1.0, 0.01, "faster"),
        (1.0, 1.04, 0.01, "same"),  # below the threshold
        (1.0, 1.2, 0.15, "same"),  # within both spreads
    ],
)
def test_verdicts(before, after, spread, kind):
    documents = [_document(_row("a", each, spread=spread)) for each in (before, after)]
    (found,) = regression.verdicts(*documents)
    assert found.kind == kind
    assert found.ratio == pytest.approx(after / before)


def test_rows_that_only_one_file_has_do_not_count():
    before = _document(_row("gone", 1.0), _row("both", 1.0))
    after = _document(_row("both", 1.0), _row("new", 9.0))
    assert [each.row for each in regression.verdicts(before, after)] == ["both"]
    with pytest.raises(ValueError, match="no row of pyautodl in common"):
        list(regression.verdicts(before, _document(_row("new", 1.0))))


def test_regression_tells_by_its_status(tmp_path, capsys):
    paths = []
    for i, ms in enumerate((1.0, 2.0)):
        paths.append(tmp_path / f"{i}.json")
        paths[-1].write_text(json.dumps(_document(_row("MLP", ms), _row("CNN", 1.0))))
    old, new = map(str, paths)
    assert regression.main([old, new]) == 1
    assert "slower: MLP" in capsys.readouterr().out
    assert regression.main([new, old]) == 0
    assert "slower: none" in capsys.readouterr().out


def test_files_of_something_else_are_refused(tmp_path):
    path = tmp_path / "list.json"
    path.write_text("[]")
    with pytest.raises(ValueError, match="expected a result file"):
        results.read(path)


# ---- tables and pictures ----


def test_results_go_to_pipes_too(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as executor:
        read = executor.submit(pipe.read_text)
        results.write_text(pipe, "a table")
        assert read.result() == "a table"
    assert pipe.is_fifo()


def test_a_link_stays_where_a_result_is_written(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(file)
    results.write_text(link, "a table")
    assert link.is_symlink()
    assert file.read_text() == "a table"


def test_markdown_table_is_aligned():
    table = results.markdown_table(["row", "ms"], [("a", "1"), ("longer", "10.5")])
    lines = table.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "| ------ | ---: |"
    assert lines[2] == "| a      |    1 |"


def test_comparison_as_table_and_summary():
    found = _document(_row("MLP", 1.0, 2.0), _row("CNN", 2.0, 1.0, gflops=120.0))
    text = compare.table(found)
    assert "| 2.00x |" in text
    assert "GFLOP/s" in text
    assert "torch: geometric mean 1.00x over 2 rows, lowest 0.50x (CNN)" in text


def test_times_of_short_calls_have_more_digits():
    text = compare.table(
        _document(_row("tiny", 0.00123, spread=0.00004), _row("MLP", 1.0))
    )
    assert "| 0.00123 ±0.00004 |" in text
    assert "|     1.000 ±0.010 |" in text


@pytest.mark.parametrize("peer", [None, 2.0])
def test_chart_is_a_picture(tmp_path, peer):
    pytest.importorskip("matplotlib")
    found = _document(_row("MLP", 1.0, peer), _row("CNN", 3.0, peer))
    path = tmp_path / "chart.png"
    results.save_figure(compare.chart(found), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [each.name for each in tmp_path.iterdir()] == ["chart.png"]


def test_scaling_chart(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [
        {
            **_row(f"conv batch {x}", 0.5 * x),
            "curve": "conv batch",
            "x": x,
            "memory_mb": x,
        }
        for x in (1, 2, 4, 8)
    ]
    fits = scaling._fits(rows)
    assert fits["conv batch"]["time"] == pytest.approx(1.0)
    results.save_figure(scaling._chart(rows, fits), tmp_path / "chart.png")
    assert (tmp_path / "chart.png").stat().st_size > 5000


def test_exponent_of_the_upper_half():
    x = [1, 2, 4, 8, 16, 32]
    # a fixed cost at the small end does not count
    assert scaling.exponent(x, [9, 9, 9, *(n**2 for n in x[3:])]) == pytest.approx(2)


def test_scratch_may_grow_by_rounding_alone():
    first = {"row": "a", "scratch_mb": 2.0, "result_mb": 1.0}
    rounded = {"row": "b", "scratch_mb": 8.0, "result_mb": 100.0}
    grown = {"row": "c", "scratch_mb": 8.0, "result_mb": 1.0}
    assert grows([first, rounded, grown]) == ["c"]


def test_limits_of_a_roofline_file():
    common = {"isa": "avx2", "threads": 2}
    rows = [
        {"what": "fma", "gflops": 200.0, **common},
        {"what": "triad", "gbs": 30.0, **common},
    ]
    assert limits_of(rows, "avx2", 2) == (200.0, 30.0)
    with pytest.raises(ValueError, match="no row for avx512 on 2 threads"):
        limits_of(rows, "avx512", 2)


def test_instruction_counts_are_judged():
    found = dict(
        instructions.judge(
            {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0},
            {"a": 1.1, "b": 2.0, "c": 0.5, "e": 1.0},
        )
    )
    assert found == {"a": "", "b": "worse", "c": "better", "d": "gone", "e": "new"}
    stored = json.loads(instructions.STORED.read_text())
    assert len(stored) > 15
    assert all(each > 0 for each in stored.values())


# ---- rows ----


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_rows_have_names_of_their_own(suite):
    rows = SUITES[suite]()
    names = [row.facts.name for row in rows]
    assert names
    assert len(set(names)) == len(names)
    assert set(rows_of(suite)) == set(names)


def test_work_of_the_light_rows_is_made():
    product = rows_of("gemm")["GEMM 32³"].work()
    assert isinstance(product, Product)
    assert product.a.shape == (32, 32)
    call = rows_of("ops")["add 4 KB"].work()
    assert isinstance(call, Call)
    assert len(call.arrays) == 2


def test_initial_state_is_the_same_again():
    shapes = {
        "0.weight": (4, 3),
        "0.bias": (4,),
        "1.weight": (4,),
        "1.running_var": (4,),
        "1.num_batches_tracked": (),
    }
    first, second = initial_state(shapes), initial_state(shapes)
    for key, shape in shapes.items():
        assert first[key].shape == shape
        np.testing.assert_array_equal(first[key], second[key])
    assert (first["1.weight"] == 1).all()
    assert (first["0.bias"] == 0).all()
    assert np.std(first["0.weight"]) > 0


def test_results_that_differ_are_refused():
    facts = Facts("row", tolerance=1e-3)
    a = np.array([1.0, 2.0], np.float32)
    compare.check_equal(facts, "ours", [a], "theirs", [a * 1.0005])
    with pytest.raises(ValueError, match="differs by"):
        compare.check_equal(facts, "ours", [a], "theirs", [a * 1.01])
    with pytest.raises(ValueError, match="differs by nan"):
        compare.check_equal(facts, "ours", [a * np.nan], "theirs", [a])
    with pytest.raises(ValueError, match="have shapes"):
        compare.check_equal(facts, "ours", [a], "theirs", [a, a])


# ---- contestants ----


def test_threads_and_capability_are_in_the_environment():
    added = environment(3, "avx2")
    for name in ("PYAUTODL", "OMP", "OPENBLAS"):
        assert added[f"{name}_NUM_THREADS"] == "3"
    assert added["ATEN_CPU_CAPABILITY"] == "avx2"
    assert added["PYAUTODL_ISA"] == "avx2"


def _agree(suite, name, ours, theirs):
    found = [each.prepare(suite, name) for each in (ours, theirs)]
    facts = rows_of(suite)[name].facts
    compare.check_equal(facts, ours.library, found[0], theirs.library, found[1])


def test_ours_and_numpy_agree_from_their_processes():
    with closing(Contestant(OURS, 1)) as ours, closing(Contestant("numpy", 1)) as numpy:
        for suite, name in (("gemm", "GEMM 64³"), ("ops", "add 4 KB")):
            _agree(suite, name, ours, numpy)
            assert 0 < ours.time(2) < 1
            assert 0 < numpy.time(2) < 1
        with pytest.raises(Unsupported, match="no networks"):
            numpy.prepare("steps", "MLP B1")
        with pytest.raises(RuntimeError, match="KeyError"):
            ours.prepare("steps", "no such row")
        # and goes on
        assert len(ours.prepare("steps", "MLP B1")[0]) == 3


@pytest.mark.parametrize("suite", ["steps", "layers", "ops"])
def test_ours_and_torch_agree(suite):
    pytest.importorskip("torch")
    wanted = {
        "steps": ("MLP B32", "CNN B1", "LSTM B1 T50", "AE B128"),
        "layers": ("linear 1024→1024 N256 forward+backward",),
        "ops": ("gelu 4 KB", "logsumexp 4 KB", "cumsum 4 KB"),
    }[suite]
    with closing(Contestant(OURS, 2)) as ours, closing(Contestant("torch", 2)) as torch:
        for name in wanted:
            _agree(suite, name, ours, torch)


def test_what_is_not_installed_is_named(monkeypatch):
    from benchmarks import libraries

    monkeypatch.setitem(
        LIBRARIES, "absent", ("nowhere", "absent", "pip install absent")
    )
    with pytest.raises(
        Unsupported, match=r"absent is not installed.*pip install absent"
    ):
        libraries.load("absent", 1, None)


@pytest.mark.usefixtures("compiled")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
def test_peak_takes_turns_with_each_size_and_number_of_threads(monkeypatch, tmp_path):
    before = native.get_num_threads()
    monkeypatch.setattr(peak, "_SIZES", (16, 32))
    monkeypatch.setattr(peak, "available_cpus", lambda: 2)
    monkeypatch.delenv("CC", raising=False)
    file = tmp_path / "peak.json"
    try:
        assert peak.main(["--rounds", "3", "--json", str(file)]) == 0
    finally:
        native.set_num_threads(before)
    rows = results.read(file)["rows"]
    assert [row["row"] for row in rows] == [
        f"{n}³ {threads} threads" for threads in (1, 2) for n in (16, 32)
    ]
    for row in rows:
        assert 0 < row["low"] <= row["share"] <= row["high"]


_WITHOUT_MEMORY_FOR_STACKS = """
import resource
from benchmarks import roofline

with roofline.in_turns("multiply_adds", "base") as pace:
    assert pace(2) > 0
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20), hard))
    try:
        pace(64)
    except OSError as error:
        message = str(error)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    assert pace(2) > 0
print(message)
"""


@pytest.mark.usefixtures("compiled")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux's limits")
def test_peak_raises_where_threads_cannot_be_had(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    run = subprocess.run(
        [sys.executable, "-c", _WITHOUT_MEMORY_FOR_STACKS],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert run.returncode == 0, run.stderr
    assert (
        "multiply-adds on 64 threads need what the system does not give" in run.stdout
    )


@pytest.mark.usefixtures("compiled")
def test_overhead_times_what_both_libraries_have(monkeypatch, tmp_path):
    before, file = native.get_num_threads(), tmp_path / "overhead.json"
    monkeypatch.setattr(overhead, "_PEER", "no_such_library")
    try:
        arguments = ["--seconds", "0.01", "--only", "add", "backward"]
        assert overhead.main([*arguments, "--json", str(file)]) == 0
    finally:
        native.set_num_threads(before)
    rows = results.read(file)["rows"]
    names = ["add", "add a row", "linear, tanh, sum, backward"]
    assert [row["row"] for row in rows] == names
    assert all(row[OURS]["us"] > 0 for row in rows)


def test_the_readme_names_modules_that_exist():
    root = Path(__file__).resolve().parent.parent
    text = (root / "README.md").read_text()
    table = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, re.MULTILINE)
    named = {name for line in table for name in re.findall(r"\w+", line)}
    assert {"roofline", "steps", "regression"} <= named
    for each in named | set(re.findall(r"benchmarks\.([a-z]+)", text)):
        assert (root / "benchmarks" / f"{each}.py").exists(), each


@pytest.mark.usefixtures("compiled")
def test_points_of_a_curve_are_measured(tmp_path, capsys):
    file = tmp_path / "scaling.json"
    arguments = ["--only", "CNN", "--seconds", "0.01", "--rounds", "5"]
    assert scaling.main([*arguments, "--threads", "1", "--json", str(file)]) == 0
    found = results.read(file)
    assert [row["x"] for row in found["rows"]] == list(SCALES["batch"])
    assert all(row["memory_mb"] > 0 for row in found["rows"])
    assert list(found["settings"]["exponents"]) == ["CNN step batch"]
    assert "1/1 CNN step batch" in capsys.readouterr().out


def test_profiles_of_the_rows(capsys):
    assert profiles.main(["--only", "MLP B1", "--calls", "1"]) == 0
    shown = capsys.readouterr().out
    assert "== MLP B1, 1 calls" in shown
    assert "linear" in shown
    assert profiles.main(["--only", "no such row"]) == 1
