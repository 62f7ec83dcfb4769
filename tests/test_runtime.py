"""Threads, processes and memory."""

import copy
import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import models, nn
from pyautodl.backends import Array, KeptCalls, choice, native

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.usefixtures("compiled")


def _network():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 14 * 14, 32),
        nn.Dropout(0.2),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def _train(steps=3, seed=0):
    """Losses of a few steps of a small network with all that is usual."""
    ad.manual_seed(seed)
    model = _network()
    optimizer = ad.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    x, y = ad.rand(16, 1, 28, 28), ad.arange(16) % 10
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_subnormal_numbers_are_zero_in_sums_of_products_alone(dtype):
    tiny = 1e-40 if dtype is ad.float32 else 1e-310
    x = ad.full((64, 64), tiny, dtype=dtype)
    image = ad.full((1, 4, 16, 16), tiny, dtype=dtype)
    weight = ad.ones(4, 4, 3, 3, dtype=dtype)
    for threads in (1, 2):
        with native.exact_threads(threads):
            assert not (x @ ad.ones(64, 64, dtype=dtype)).any()
            for algorithm in ("im2col", "winograd"):
                with ad.use_conv_algorithm(algorithm):
                    assert not F.conv2d(image, weight, padding=1).any()
            assert (x * 0.5).all()
            assert x.sum().item() == pytest.approx(64 * 64 * tiny, rel=1e-3)
            assert ad.isfinite(x.log()).all()


@pytest.mark.parametrize("optimizer", [ad.optim.SGD, ad.optim.RMSprop])
def test_momentum_without_gradients_decays_to_zero(optimizer):
    # 0.9 times a few times the smallest subnormal number is rounded to itself: it would stay
    # for ever, and some processors take a hundred times as long for it
    parameter = nn.Parameter(ad.ones(1000))
    step = optimizer([parameter], lr=0.01, momentum=0.9)
    parameter.grad = ad.full((1000,), 1e-30)
    step.step()
    parameter.grad = ad.zeros(1000)
    for _ in range(1200):
        step.step()
    assert not step.state[parameter]["momentum_buffer"].any()


def test_bits_do_not_depend_on_threads():
    with native.exact_threads(1):
        expected = _train()
    for threads in (2, 3, 8):
        with native.exact_threads(threads):
            assert _train() == expected


def _send_losses(pipe):
    pipe.send(_train())


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_children_compute_right_after_the_parent_has(method):
    with native.exact_threads(2):
        expected = _train()
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    child = context.Process(target=_send_losses, args=(theirs,))
    child.start()
    assert ours.poll(60), "the child hangs"
    assert ours.recv() == expected
    child.join(20)
    assert child.exitcode == 0
    assert _train() == expected


def test_two_models_train_in_two_threads():
    expected = {seed: _train(5, seed) for seed in (0,)}
    found = {}
    barrier = threading.Barrier(2)

    def work(number):
        # the default generator is shared, so each thread brings its own weights and data
        generator = ad.Generator().manual_seed(number)
        w = ad.randn(64, 64, generator=generator).requires_grad_()
        x = ad.randn(32, 64, generator=generator)
        barrier.wait()
        losses = []
        for _ in range(40):
            loss = (x @ w).tanh().square().mean()
            w.grad = None
            loss.backward()
            with ad.no_grad():
                w -= w.grad * 0.1
            losses.append(loss.item())
        found[number] = losses

    def both():
        threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        return dict(found)

    first = both()
    assert set(first) == {0, 1}
    assert both() == first
    assert _train(5, 0) == expected[0]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_of_kept_calls_are_emptied_with_the_others(copied):
    kept = KeptCalls(2)
    kept.keep("of the original's memory", "call")
    twin = copied(kept)
    if isinstance(twin, bytes):
        twin = pickle.loads(twin)
    assert not twin
    twin.keep("key", "call")
    choice.forget_calls()
    assert not twin
    assert not kept


def test_calls_are_forgotten_while_others_are_kept():
    errors = []

    def keep():
        try:
            list(map(KeptCalls, [1] * 20_000))
        except RuntimeError as error:
            errors.append(error)

    def forget():
        try:
            while threads[0].is_alive():
                choice.forget_calls()
        except RuntimeError as error:
            errors.append(error)

    threads = [threading.Thread(target=keep), threading.Thread(target=forget)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors


def test_system_allocations_stay_constant_after_an_epoch():
    model = _network()
    optimizer = ad.optim.Adam(model.parameters())

    def epoch():
        for i in range(6):
            x, y = ad.rand(16, 1, 28, 28), (ad.arange(16) + i) % 10
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    epoch()
    before = ad.memory_stats()["system_allocations"]
    for _ in range(5):
        epoch()
    assert ad.memory_stats()["system_allocations"] == before


def _steps_of_models():
    """Each model with its input and the classes or values it learns."""
    labels = ad.arange(4) % 2
    image, colour = ad.rand(4, 1, 16, 16), ad.rand(4, 3, 32, 32)
    yield models.LeNet(1, 2, 16, (4, 8), 16, dropout=0.5), image, labels
    yield models.VGG(11, 2, batch_norm=True, small=True), colour, labels
    yield models.resnet18(num_classes=2, small=True), colour, labels
    yield models.UNet(1, 2, (4, 8)), image, (image[:, 0] > 0.5).long()
    yield models.LSTMClassifier(16, 2, 8), image[:, 0], labels
    yield models.Autoencoder((256, 16, 4)), image, image
    yield models.ConvAutoencoder(1, (4, 8)), image, image


@pytest.mark.parametrize("number", range(7))
def test_training_steps_never_leave_the_kernels(number, monkeypatch):
    """No cast, copy or arithmetic of a step is NumPy's, so that a tape could hold it."""
    model, x, target = list(_steps_of_models())[number]
    optimizer = ad.optim.Adam(model.parameters())
    loss_function = F.mse_loss if target is x else F.cross_entropy

    def step():
        optimizer.zero_grad()
        loss_function(model(x), target).backward()
        optimizer.step()

    def refuse(self):
        raise AssertionError("NumPy looks at an array within a training step")

    with ad.use_backend("native"):
        step()
        monkeypatch.setattr(Array, "numpy", refuse)
        monkeypatch.setattr(Array, "export", refuse)
        step()


def test_memory_is_flat_without_the_garbage_collector():
    model = nn.Sequential(
        nn.Linear(20, 30), nn.ReLU(), nn.LayerNorm(30), nn.Linear(30, 5)
    )
    optimizer = ad.optim.SGD(model.parameters(), lr=0.01)
    x, y = ad.rand(8, 20), ad.arange(8) % 5

    def steps(count):
        for _ in range(count):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    gc.collect()
    gc.disable()
    try:
        steps(20)
        before, objects = ad.memory_stats()["allocated_bytes"], len(gc.get_objects())
        steps(1000)
        assert ad.memory_stats()["allocated_bytes"] == before
        assert len(gc.get_objects()) < objects + 200
    finally:
        gc.enable()


def test_scratch_does_not_grow_with_the_image():
    def reserved(batch, size):
        ad.empty_cache()
        conv = nn.Conv2d(4, 8, 5)
        x = ad.rand(batch, 4, size, size)
        with ad.no_grad():
            y = conv(x)
        payload = x.nbytes + y.nbytes
        return ad.memory_stats()["reserved_bytes"] - payload

    small, large = reserved(1, 32), reserved(8, 128)
    # the column matrix of the large one would be over 50 MB
    assert large - small < 8_000_000


def test_impossible_requests_name_the_bytes():
    with pytest.raises(MemoryError, match=r"can't allocate [\d,]+ bytes"):
        ad.empty(2**20, 2**20, 16)
    with pytest.raises(MemoryError, match="can't allocate 9,223,372,036,854,775,808"):
        ad.zeros(2**61)  # more than C can count

    line = ad.zeros(1).expand(2**24)
    with pytest.raises(MemoryError, match="can't allocate 1,125,899,906,842,624 bytes"):
        ad.outer(line, line)  # of a prepared call

    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return self.conv(x.expand(2**16, 1, 2**12, 2**12))

    with pytest.raises(
        MemoryError, match=r"can't allocate [\d,]+ bytes(.|\n)*layer `conv`"
    ):
        Wide()(ad.zeros(1, 1, 1, 1))


def test_batch_one_step_is_not_slower_than_numpy():
    """One thread each, in a process of its own: other tests may run beside this one."""
    alone = {"OPENBLAS_NUM_THREADS": "1", "PYAUTODL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "batch_one_step.py")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **alone},
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.0


@pytest.mark.parametrize("order", ["torch first", "torch last"])
def test_beside_other_libraries_in_one_process(order):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    others = "import torch, sklearn.linear_model as lm\n"
    ours = "import pyautodl as ad\n"
    code = (others + ours if order == "torch first" else ours + others) + (
        "import numpy as np\n"
        "a = np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32)\n"
        "for _ in range(3):\n"
        "    x = (ad.tensor(a) @ ad.tensor(a)).numpy()\n"
        "    y = (torch.tensor(a) @ torch.tensor(a)).numpy()\n"
        "    lm.LogisticRegression().fit(a[:50], np.arange(50) % 2)\n"
        "    assert np.allclose(x, y, atol=1e-2)\n"
        "print('fine')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=180,
        cwd=ROOT,
        env=dict(os.environ),
    )
    assert done.stdout.strip() == "fine", done.stderr


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("wrong", [0, -1, 65, 1.5, "2", True, None, 10**30])
def test_a_number_of_threads_that_cannot_be(wrong):
    before = ad.get_num_threads()
    with pytest.raises(ValueError, match="set_num_threads: n must be a number from 1"):
        ad.set_num_threads(wrong)
    assert ad.get_num_threads() == before
