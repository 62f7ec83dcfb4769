"""The profiler: what it counts, whose it is, and that nothing stays behind."""

from __future__ import annotations

import json
import threading

import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import backends, nn
from pyautodl.backends import empty
from pyautodl.backends.costs import FLOPS, bytes_of, flops_of
from pyautodl.backends.dtypes import float32
from pyautodl.graph import backward
from pyautodl.ops.record import OPS

LIMITS = (100.0, 10.0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(4 * 8 * 8, 3)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


def _hooked():
    """Everything that a recording replaces."""
    walk = backward.Walk
    methods = (
        backward.gradients,
        walk.run,
        walk.finish_leaves,
        backends.calls._observer,
    )
    return (*methods, *(op.forward for op in OPS.values()))


def _profiled_step():
    model, x, target = Net(), ad.rand(2, 1, 8, 8), ad.tensor([0, 2])
    optimizer = ad.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with ad.profile(limits=LIMITS) as p:
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
    return p


def test_ops_of_a_step_forward_and_backward():
    p = _profiled_step()
    rows = {(row.name, row.phase): row for row in p.rows()}
    for name in ("conv_relu", "linear", "cross_entropy"):
        assert rows[name, "forward"].calls == 1
        assert rows[name, "backward"].calls == 1
    assert rows["sgd_step", "optimizer"].calls == 1
    # 2 images of 8x8, 4 channels, 9 taps; the input has no gradient
    assert rows["conv_relu", "forward"].flops == 2 * 2 * 64 * 4 * 9
    assert rows["conv_relu", "backward"].flops == 2 * 2 * 64 * 4 * 9
    assert rows["linear", "forward"].flops == 2 * 2 * 256 * 3
    assert rows["linear", "backward"].flops == 2 * 2 * 2 * 256 * 3
    kernels = {row.name: row for row in p.rows("kernel")}
    assert kernels["relu_grad"].bytes == 3 * 2 * 4 * 64 * 4


def test_layers_go_by_their_paths():
    p = _profiled_step()
    rows = {(row.name, row.phase): row for row in p.rows("layer")}
    for name in ("features.0", "head"):  # the ReLU is part of the convolution
        assert {(name, "forward"), (name, "backward")} <= set(rows)
    assert ("(outside modules)", "forward") in rows  # the loss
    assert ("(optimizer)", "optimizer") in rows
    shallow = {(row.name, row.phase): row for row in p.rows("layer", depth=1)}
    assert shallow["features", "forward"].calls == 1
    assert ("features.0", "forward") not in shallow


def test_later_backward_passes_are_seen_as_the_first():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def step():
        model.zero_grad()
        model(ad.ones(3, 4)).square().mean().backward()

    def recorded():
        with ad.profile() as p:
            step()
        return [
            (event.kind, event.name, event.phase, event.layer)
            for event in p.events
            if event.kind != "kernel"
        ]

    first = recorded()
    backward = [each for each in first if each[0] == "gradient"]
    assert len(backward) == 5
    for _ in range(3):
        again = recorded()
        assert [each for each in again if each[0] == "gradient"] == backward
        assert [each for each in again if each[2] == "forward"] == [
            each for each in first if each[2] == "forward"
        ]


def test_two_models_are_told_apart():
    class Other(Net):
        pass

    with ad.profile(limits=LIMITS) as p:
        Net()(ad.rand(1, 1, 8, 8)), Other()(ad.rand(1, 1, 8, 8))
    names = {row.name for row in p.rows("layer")}
    assert {"Net.head", "Other.head"} <= names


def test_sums_agree_between_the_tables():
    p = _profiled_step()
    ops, layers = p.rows("op"), p.rows("layer")
    assert sum(row.calls for row in ops) == sum(row.calls for row in layers)
    assert sum(row.flops for row in ops) == sum(row.flops for row in layers)
    kernels = p.rows("kernel")
    assert sum(row.bytes for row in kernels) == sum(row.bytes for row in ops)
    inside = sum(row.seconds for row in kernels)
    assert 0 < inside < sum(row.seconds for row in ops) < p.seconds


@pytest.mark.usefixtures("compiled")
def test_memory_is_what_the_op_keeps():
    x = ad.rand(256, 256)
    with ad.profile(limits=LIMITS) as p:
        y = x.relu()
    (row,) = p.rows()
    assert row.memory >= y.nbytes
    assert p.peak_memory >= x.nbytes + y.nbytes


def test_nothing_stays_behind():
    before = _hooked()
    with ad.profile(limits=LIMITS):
        during = _hooked()
        ad.ones(2) + 1
    assert all(a is not b for a, b in zip(before, during, strict=True))
    assert all(a is b for a, b in zip(before, _hooked(), strict=True))


def test_an_error_in_the_block_ends_the_recording():
    before = _hooked()
    p = ad.profile(limits=LIMITS)
    x = ad.ones(2)
    with pytest.raises(ad.ShapeError, match="matmul"), p:
        (x + 1) @ ad.ones(3, 4)
    assert all(a is b for a, b in zip(before, _hooked(), strict=True))
    assert [row.name for row in p.rows() if row.name == "add"] == ["add"]
    with ad.profile(limits=LIMITS):
        pass


def test_a_kernel_that_fails_is_closed():
    with ad.profile(limits=LIMITS) as p:
        with pytest.raises(IndexError):
            ad.ones(3)[ad.tensor([7])]
        ad.ones(2) + 1
    assert all(event.end >= event.start > 0 for event in p.events)
    (add,) = [event for event in p.events if (event.kind, event.name) == ("op", "add")]
    assert add.depth == 0


def test_one_profile_at_a_time():
    with (
        ad.profile(limits=LIMITS) as p,
        pytest.raises(RuntimeError, match="recording already"),
        ad.profile(limits=LIMITS),
    ):
        pass
    with pytest.raises(RuntimeError, match=r"stop\(\) without start\(\)"):
        p.stop()


def test_results_come_after_the_block():
    p = ad.profile(limits=LIMITS)
    assert repr(p) == "<profile, not started>"
    with pytest.raises(RuntimeError, match="nothing was recorded"):
        p.table()
    with p:
        with pytest.raises(RuntimeError, match="still recording"):
            p.rows()
        assert repr(p) == "<profile, recording>"
    assert repr(p).startswith("<profile of 0 events")


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="limits must be positive"):
        ad.profile(limits=(0.0, 1.0))
    p = _profiled_step()
    with pytest.raises(ValueError, match="by must be one of"):
        p.table("shape")
    with pytest.raises(ValueError, match="depth must be at least 1"):
        p.table("layer", depth=0)
    with pytest.raises(ValueError, match="limit must be 0 or more rows, got -1"):
        p.table(limit=-1)
    with pytest.raises(
        ValueError, match=r"limits must be \(GFLOP/s, GB/s\), got \(1.0,\)"
    ):
        ad.profile(limits=(1.0,))


def test_start_and_stop_and_again():
    p = ad.profile(limits=LIMITS)
    for _ in range(2):
        p.start()
        ad.ones(2) + 1
        p.stop()
        assert sum(row.calls for row in p.rows() if row.name == "add") == 1


def test_other_threads_are_recorded_apart():
    x = ad.rand(8, requires_grad=True)
    with ad.profile(limits=LIMITS) as p:
        thread = threading.Thread(target=lambda: (x * 2).sum().backward())
        thread.start()
        thread.join()
        (x * 3).sum()
    products = [
        e for e in p.events if (e.kind, e.name) == ("op", "mul") and not e.depth
    ]
    assert len({event.thread for event in products}) == 2
    assert all(event.depth == 0 for event in products)
    phases = {row.phase for row in p.rows() if row.name == "mul"}
    assert phases == {"forward", "backward"}
    assert "on 2 Python threads" in p.table()
    assert "your code" not in p.table()


@pytest.mark.parametrize("backend", backends.BACKENDS)
def test_every_backend_is_seen(backend):
    if not backends.backend_kernels(backend):
        pytest.skip(f"{backend} is absent")
    x = ad.rand(4, 4)
    with ad.profile(limits=LIMITS) as p, ad.use_backend(backend):
        x @ x
    assert [row.name for row in p.rows("kernel")] == ["matmul"]


def test_table_as_text():
    text = _profiled_step().table("op", limit=3)
    lines = text.splitlines()
    assert lines[0].split()[:4] == ["op", "phase", "calls", "ms"]
    assert lines[5].startswith("... ")
    assert "100 % of the limit: 100 GFLOP/s or 10.0 GB/s" in lines[-1]
    assert len({len(line) for line in (lines[1], lines[6])}) == 1


def test_a_layer_counts_its_ops():
    header = _profiled_step().table("layer").splitlines()[0]
    assert header.split()[:3] == ["layer", "phase", "ops"]
    assert "µs/op " in header


def test_table_as_html():
    page = _profiled_step()._repr_html_()
    assert page.count("<table>") == page.count("</table>") == 2
    assert "<td style" in page
    assert "features.0" in page


def test_share_of_the_limit():
    limits = ad.profiler.Limits(gflops=100.0, gbs=10.0)
    assert limits.seconds(flops=1e9, nbytes=0) == pytest.approx(0.01)
    assert limits.seconds(flops=1e9, nbytes=1e9) == pytest.approx(0.1)


def test_chrome_trace(tmp_path):
    p = _profiled_step()
    path = tmp_path / "trace.json"
    p.export_chrome_trace(path)
    assert [each.name for each in tmp_path.iterdir()] == ["trace.json"]
    events = json.loads(path.read_text())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert len(spans) == len(p.events)
    for span in spans:
        assert span["ts"] >= 0
        assert span["dur"] >= 0
        assert {"name", "cat", "pid", "tid", "args"} <= set(span)
    ends = max(span["ts"] + span["dur"] for span in spans)
    assert ends <= p.seconds * 1e6 + 1
    conv = next(
        s for s in spans if s["cat"] == "op,forward" and s["name"] == "conv_relu"
    )
    assert conv["args"]["layer"] == "features.0"
    assert conv["args"]["shapes"][0] == [2, 1, 8, 8]
    # the kernel lies inside its op
    inside = next(
        s for s in spans if s["cat"] == "kernel,forward" and s["args"]["flops"]
    )
    assert conv["ts"] <= inside["ts"]
    assert inside["ts"] + inside["dur"] <= conv["ts"] + conv["dur"] + 1e-3
    assert {event["ph"] for event in events} == {"M", "X", "C"}


def test_threads_of_a_chrome_trace_have_small_numbers(tmp_path):
    with ad.profile(limits=LIMITS) as p:
        thread = threading.Thread(target=lambda: ad.ones(2) + 1)
        thread.start()
        thread.join()
        ad.ones(2) + 1
    path = tmp_path / "trace.json"
    p.export_chrome_trace(path)
    events = json.loads(path.read_text())["traceEvents"]
    named = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert named == {1: "Python thread 1", 2: "Python thread 2"}
    assert {e["tid"] for e in events if e["ph"] == "X"} == {1, 2}
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        p.export_chrome_trace(tmp_path / "absent" / "trace.json")


def test_costs_are_declared_for_real_kernels():
    known = set().union(*(backends.backend_kernels(each) for each in backends.BACKENDS))
    assert set(FLOPS) <= known


@pytest.mark.parametrize("bidirectional", [False, True])
def test_flops_of_recurrent_layers(bidirectional):
    layer = nn.LSTM(3, 5, batch_first=True, bidirectional=bidirectional)
    x = ad.rand(2, 7, 3, requires_grad=True)
    with ad.profile(limits=LIMITS) as p:
        layer(x)[0].sum().backward()
    rows = {row.name: row for row in p.rows("kernel") if row.flops}
    directions = 2 if bidirectional else 1
    forward = directions * 2 * 14 * (4 * 5 * 3 + 4 * 5 * 5)
    assert rows["rnn_fwd"].flops == forward
    assert rows["rnn_bwd"].flops == 2 * forward


def test_winograd_counts_as_the_plain_algorithm():
    x, w, y = (empty(s, float32) for s in ((2, 3, 8, 8), (5, 3, 3, 3), (2, 5, 8, 8)))
    expected = 2 * 2 * 5 * 64 * 27
    ints = (1, 1, 0, 0)
    assert flops_of("winograd_fwd", (x, w), (y,), ints) == expected
    assert flops_of("conv_fwd", (x, w), (y,), ints) == expected
    # transposed: from the output's gradient to the input's
    assert flops_of("winograd_fwd", (y, w), (x,), (1, 1, 1, 4, 0)) == expected
    assert flops_of("winograd_bwd_w", (x, y), (w, None), (1, 1)) == expected


def test_bytes_of_what_is_expanded_count_once():
    x = ad.ones(1, 8).expand(100, 8)
    assert bytes_of([x._array, [x._array, None]]) == 2 * 8 * 4
