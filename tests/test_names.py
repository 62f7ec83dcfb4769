"""Names of PyTorch's that scripts use beside tensors and layers."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

import pyautodl as ad


def test_tensors_of_sizes_and_of_values() -> None:
    assert tuple(ad.Tensor(2, 3).shape) == (2, 3)
    assert tuple(ad.Tensor(ad.ones(4, 5).size()).shape) == (4, 5)
    assert tuple(ad.Tensor().shape) == (0,)
    for values in ([1, 2], (1, 2), np.array([1, 2]), ad.tensor([1.0, 2.0])):
        x = ad.Tensor(values)
        assert (x.dtype, x.tolist()) == (ad.float32, [1.0, 2.0])
    parameter = ad.nn.Parameter(ad.Tensor(3, 2))
    assert tuple(parameter.shape) == (3, 2)
    assert ad.nn.Parameter([1.0]).dtype == ad.float32


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("FloatTensor", ad.float32),
        ("DoubleTensor", ad.float64),
        ("LongTensor", ad.int64),
        ("IntTensor", ad.int32),
        ("ShortTensor", ad.int16),
        ("CharTensor", ad.int8),
        ("ByteTensor", ad.uint8),
        ("BoolTensor", ad.bool),
    ],
)
def test_constructors_of_one_type(name: str, dtype: ad.dtype) -> None:
    make = getattr(ad, name)
    assert make([1, 0]).dtype == make(np.array([1.5, 0])).dtype == dtype
    assert make([[1, 0]]).tolist() == [[1, 0]]
    assert tuple(make(2, 3).shape) == (2, 3)
    assert isinstance(make(1), make)
    assert not isinstance(
        ad.zeros(1, dtype=ad.int8 if dtype != ad.int8 else None), make
    )
    assert ad.ones(2).type(make).dtype == dtype


def test_limits() -> None:
    for dtype in (ad.float32, ad.float64):
        info, expected = ad.finfo(dtype), np.finfo(dtype.numpy)
        assert (info.max, info.min) == (expected.max, expected.min)
        assert (info.eps, info.tiny) == (expected.eps, expected.tiny)
    assert ad.finfo().bits == 32
    assert ad.iinfo(ad.int64).max == sys.maxsize
    assert ad.iinfo(ad.uint8).min == 0
    with pytest.raises(TypeError, match="expected a floating type, got int64"):
        ad.finfo(ad.int64)
    with pytest.raises(TypeError, match="expected an integer type, got float32"):
        ad.iinfo(ad.float32)


def test_constants() -> None:
    assert (ad.inf, ad.pi, ad.e) == (math.inf, math.pi, math.e)
    assert math.isnan(ad.nan)
    assert tuple(ad.ones(2)[:, ad.newaxis].shape) == (2, 1)
    assert ad.ones(1).layout == ad.strided


def test_switches_of_scripts() -> None:
    assert not ad.backends.cudnn.is_available()
    assert not ad.backends.mps.is_available()
    before = ad.backends.cudnn.benchmark
    ad.backends.cudnn.benchmark = before
    ad.cuda.manual_seed(0)
    ad.cuda.empty_cache()
    ad.use_deterministic_algorithms(True, warn_only=True)
    assert ad.are_deterministic_algorithms_enabled()
    with pytest.raises(ValueError, match="got 'low'"):
        ad.set_float32_matmul_precision("low")
    with pytest.raises(AttributeError, match="no attribute 'cuda'"):
        ad.backends.cuda  # noqa: B018
    assert issubclass(ad.optim.lr_scheduler.StepLR, ad.optim.lr_scheduler._LRScheduler)


def test_mixed_precision_is_off() -> None:
    p = ad.nn.Parameter(ad.ones(1))
    optimizer = ad.optim.SGD([p], lr=0.5)
    with pytest.warns(UserWarning, match="GradScaler: there is no device 'cuda'"):
        scaler = ad.cuda.amp.GradScaler(init_scale=8.0)
    with ad.amp.autocast("cpu", dtype=ad.float32, enabled=False):
        loss = (p * 2).sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == [0.0]
    assert (scaler.get_scale(), scaler.is_enabled(), scaler.state_dict()) == (1, 0, {})
    with pytest.warns(UserWarning, match="autocast: there is no device 'cuda:0'"):

        @ad.autocast("cuda:0")
        def double(x: ad.Tensor) -> ad.Tensor:
            return x * 2

    assert double(ad.ones(1)).tolist() == [2.0]
    ad.cuda.amp.autocast(enabled=False)
    for make in (ad.autocast, ad.amp.GradScaler):
        with pytest.raises(NotImplementedError, match="likely fix: enabled=False"):
            make("cpu")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ad.cuda.nothing  # noqa: B018


def test_compile_gives_back_what_it_gets() -> None:
    model = ad.nn.Linear(2, 1)
    assert ad.compile(model, mode="max-autotune") is model
    assert ad.compile(fullgraph=True)(len) is len
    with pytest.raises(
        TypeError, match="compile: expected a module or a function, got"
    ):
        ad.compile(3)


def test_errors_are_caught_as_those_of_pytorch() -> None:
    x = ad.ones(2, 3)
    for wrong in (
        lambda: x @ x,
        lambda: x.view(4),
        lambda: ad.nn.Linear(2, 2)(x),
        lambda: ad.nn.functional.linear(x, x.double()),
    ):
        with pytest.raises(RuntimeError):
            wrong()
    with pytest.raises(ValueError, match="matmul"):
        x @ x


def test_other_spellings() -> None:
    x = ad.ones(2, 3)
    assert x.ndimension() == 2
    assert ad.is_floating_point(x)
    assert x.pin_memory() is x
    assert not x.is_pinned()
    assert (x.is_cpu, x.is_cuda, x.get_device()) == (True, False, -1)
    assert x.is_signed()
    assert not (x > 0).is_signed()
    assert tuple(ad.concatenate([x, x], dim=1).shape) == (2, 6)


def test_tensors_made_like_another() -> None:
    x = ad.ones(2, 3, dtype=ad.float64)
    other = ad.zeros(3, 2)
    assert x.new_tensor([1, 2]).dtype == ad.float64
    assert x.new_tensor([1, 2], dtype=ad.int8).tolist() == [1, 2]
    for made, value in ((x.new_ones(2, 1), 1), (x.new_zeros((2, 1)), 0)):
        assert (made.dtype, made.tolist()) == (ad.float64, [[value], [value]])
    assert x.new_full((1,), 7, dtype=ad.int32).tolist() == [7]
    assert (x.new_empty(4).shape, x.new_empty(4).dtype) == ((4,), ad.float64)
    assert x.type_as(other).dtype == ad.float32
    for shaped in (x.view_as(other), x.reshape_as(other), x[:, :1].expand_as(x).T):
        assert shaped.shape == (3, 2)
    assert x.view_as(other).data_ptr() == x.data_ptr()
    with pytest.raises(ad.errors.ShapeError, match=r"view|reshape"):
        x.view_as(ad.zeros(4, 2))


def test_what_a_tensor_says_of_its_memory() -> None:
    x = ad.arange(6, dtype=ad.int16).reshape(2, 3)
    assert x.element_size() == 2
    assert (x[1:, 1:].storage_offset(), x.storage_offset()) == (4, 0)
    y = ad.zeros(2, dtype=ad.int16)
    y.set_(x)
    assert y.data_ptr() == x.data_ptr()
    assert y.tolist() == x.tolist()


def test_retains_grad_is_of_tensors_that_are_no_leaves() -> None:
    leaf = ad.ones(2, requires_grad=True)
    y = leaf * 2
    assert not leaf.retains_grad
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad
    y.sum().backward()
    assert y.grad.tolist() == [1, 1]


def test_names_of_modules() -> None:
    model = ad.nn.Module()
    model.register_module("first", ad.nn.Linear(2, 1))
    assert list(model.state_dict()) == ["first.weight", "first.bias"]
    with pytest.raises(TypeError, match="not a Module"):
        model.register_module("second", 3)
    rnn = ad.nn.LSTM(2, 3)
    before = rnn(ad.ones(4, 1, 2))[0]
    assert rnn.flatten_parameters() is None
    assert ad.equal(rnn(ad.ones(4, 1, 2))[0], before)


def test_no_two_families_have_a_function_of_one_name() -> None:
    found: dict[str, object] = {}
    for module in [m for m in sys.modules if m.startswith("pyautodl.functional.")]:
        for name in getattr(sys.modules[module], "__all__", ()):
            value = getattr(sys.modules[module], name)
            assert found.setdefault(name, value) is value, (name, module)
    assert set(ad.functional.__all__) <= set(found)
    assert len(set(ad.functional.__all__)) == len(ad.functional.__all__) > 400
