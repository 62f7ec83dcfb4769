"""Module: registration, iteration, hooks, state, copies, errors that name the layer."""

from __future__ import annotations

import copy
import gc
import importlib
import pickle
import pkgutil
import re
import threading
import types
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import nn
from pyautodl.errors import BackendError, DTypeError, ShapeError, StateDictError


class Scale(nn.Module):
    """y = x * weight + offset, with a buffer and a non-persistent one."""

    def __init__(self, size: int = 3, value: float = 2.0) -> None:
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(ad.full((size,), value))
        self.register_parameter("absent", None)
        self.register_buffer("offset", ad.ones(size))
        self.register_buffer("scratch", ad.zeros(2), persistent=False)

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return x * self.weight + self.offset

    def extra_repr(self) -> str:
        return f"size={self.size}"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = Scale()
        self.body = nn.Sequential(Scale(), nn.Sequential(Scale()))
        self.tied = self.first
        self.gain = nn.Parameter(ad.ones(1))

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return self.body(self.first(x)) * self.gain


# ---- registration ----


def test_names_come_in_pytorchs_order_each_once() -> None:
    net = Net()
    assert [name for name, _ in net.named_modules()] == [
        "",
        "first",
        "body",
        "body.0",
        "body.1",
        "body.1.0",
    ]
    assert [name for name, _ in net.named_parameters()] == [
        "gain",
        "first.weight",
        "body.0.weight",
        "body.1.0.weight",
    ]
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["gain"]
    assert [name for name, _ in net.named_parameters("net")][:2] == [
        "net.gain",
        "net.first.weight",
    ]
    assert [name for name, _ in net.named_buffers()][:2] == [
        "first.offset",
        "first.scratch",
    ]
    assert [name for name, _ in net.named_children()] == ["first", "body"]
    every = [name for name, _ in net.named_parameters(remove_duplicate=False)]
    assert "tied.weight" in every
    assert len(list(net.parameters())) == 4


def test_a_parameter_assigned_anew_keeps_its_place() -> None:
    """Optimizers know parameters by their order."""
    layer = nn.Linear(2, 2)
    layer.weight = nn.Parameter(ad.ones(2, 2))
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert next(layer.parameters()) is layer.weight


def test_assignment_moves_between_registries() -> None:
    module = nn.Module()
    module.x = nn.Parameter(ad.ones(2))
    assert list(module._parameters) == ["x"]
    with pytest.raises(
        TypeError, match=r"parameter 'x' must be an nn\.Parameter or None, got Tensor"
    ):
        module.x = ad.ones(2)
    module.x = None
    assert module.x is None
    assert list(module.parameters()) == []
    module.x = Scale()
    assert "x" not in module._parameters
    assert list(module._modules) == ["x"]
    del module.x
    assert not hasattr(module, "x")
    module.x = 5
    module.x = nn.Buffer(ad.zeros(1), persistent=False)
    assert list(module._buffers) == ["x"]
    assert list(module.state_dict()) == []
    module.x = ad.ones(3)  # a buffer may be replaced by a tensor
    assert list(module._buffers) == ["x"]
    with pytest.raises(TypeError, match="buffer 'x' must be a tensor or None, got int"):
        module.x = 3


def test_replacing_a_member_keeps_its_place() -> None:
    net = Net()
    before = [name for name, _ in net.named_children()]
    net.first = Scale(3, 5.0)
    assert [name for name, _ in net.named_children()] == ["first", "body", "tied"]
    assert before == ["first", "body"]
    assert net.first.weight.tolist() == [5.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda m: m.register_parameter("a.b", None), KeyError, "must not be empty"),
        (lambda m: m.register_parameter("", None), KeyError, "must not be empty"),
        (lambda m: m.register_parameter("forward", None), KeyError, "already exists"),
        (lambda m: m.register_parameter("p", ad.ones(1)), TypeError, "nn.Parameter"),
        (lambda m: m.register_buffer("b", [1]), TypeError, "a tensor or None"),
        (lambda m: m.add_module("m", ad.ones(1)), TypeError, "not a Module subclass"),
        (lambda m: m.add_module("train", nn.Module()), KeyError, "already exists"),
        (lambda m: m.missing, AttributeError, "'Module' object has no attribute"),
        (lambda m: m(ad.ones(1)), NotImplementedError, "forward"),
        (lambda m: m.train(1), ValueError, "True or False"),
    ],
)
def test_bad_registrations_are_refused(call: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        call(nn.Module())


def test_parameter_before_init_is_refused() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter(ad.ones(1))

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Early()


def test_getters_by_path() -> None:
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("body.1.0") is net.body[1][0]
    assert net.get_parameter("body.0.weight") is net.body[0].weight
    assert net.get_buffer("first.offset") is net.first.offset
    net.set_submodule("body.0", nn.Sequential())
    assert isinstance(net.body[0], nn.Sequential)
    with pytest.raises(AttributeError, match="has no attribute `nothing`"):
        net.get_submodule("body.nothing")
    with pytest.raises(AttributeError, match=r"not an nn\.Parameter"):
        net.get_parameter("first.offset")


# ---- modes and types ----


def test_train_eval_apply_and_requires_grad() -> None:
    net = Net()
    assert net.training
    assert not any(m.training for m in net.eval().modules())
    assert all(m.training for m in net.train().modules())
    seen: list[str] = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Scale", "Scale", "Scale", "Sequential", "Sequential", "Net"]
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_zero_grad_drops_or_clears() -> None:
    net = Net()
    net(ad.ones(3)).sum().backward()
    held = net.gain.grad
    net.zero_grad(set_to_none=False)
    assert held is net.gain.grad
    assert held.tolist() == [0.0]
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_casts_keep_the_parameter_objects() -> None:
    net = Net()
    net.register_buffer("count", ad.tensor(3))
    parameters = list(net.parameters())
    net(ad.ones(3)).sum().backward()
    net.double()
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    assert {p.dtype for p in net.parameters()} == {ad.float64}
    assert net.gain.grad.dtype == ad.float64
    assert net.first.offset.dtype == ad.float64
    assert net.count.dtype == ad.int64
    assert net.to(ad.float32).gain.dtype == ad.float32
    assert net.to("cpu", dtype=ad.float64).gain.dtype == ad.float64
    assert net.to(ad.ones(1)).gain.dtype == ad.float32
    assert net.cpu() is net
    with pytest.raises(DTypeError, match="float16"):
        net.half()
    with pytest.raises(BackendError, match="CPU"):
        net.cuda()
    with pytest.raises(BackendError, match="cuda"):
        net.to("cuda:0")
    with pytest.raises(DTypeError, match="floating"):
        net.to(ad.int64)


# ---- hooks ----


def test_forward_hooks_see_and_replace() -> None:
    layer = Scale()
    log: list[str] = []
    pre = layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    post = layer.register_forward_hook(lambda m, args, y: y * 10)
    first = layer.register_forward_hook(
        lambda m, args, y: log.append("first"), prepend=True
    )
    named = layer.register_forward_hook(
        lambda m, args, kwargs, y: log.append(f"{len(args)}{sorted(kwargs)}"),
        with_kwargs=True,
    )
    assert layer(ad.zeros(3)).tolist() == [30.0, 30.0, 30.0]
    assert log == ["first", "1[]"]
    for handle in (pre, post, first, named):
        handle.remove()
    assert layer(ad.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_pre_hooks_with_kwargs_and_hooks_that_always_run() -> None:
    class Fails(nn.Module):
        def forward(self, x: Any, fail: bool = True) -> Any:
            if fail:
                raise ValueError("no")
            return x

    layer, log = Fails(), []
    layer.register_forward_hook(lambda m, args, y: log.append(y), always_call=True)
    with pytest.raises(ValueError, match="no"):
        layer(1)
    assert log == [None]
    layer.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"fail": False}), with_kwargs=True
    )
    assert layer(1) == 1


def test_backward_hooks_get_gradients_of_inputs_and_outputs() -> None:
    net = nn.Sequential(Scale(3, 2.0), Scale(3, 5.0))
    log: list[Any] = []

    def hook(module: Any, grad_input: Any, grad_output: Any) -> None:
        log.append((module, grad_input[0].tolist(), grad_output[0].tolist()))

    handle = net[1].register_full_backward_hook(hook)
    x = ad.ones(3, requires_grad=True)
    net(x).sum().backward()
    assert log == [(net[1], [5.0] * 3, [1.0] * 3)]
    plain = x.grad.tolist()
    handle.remove()

    net.zero_grad()
    x.grad = None
    net[1].register_full_backward_pre_hook(lambda m, grads: (grads[0] * 2,))
    net[0].register_full_backward_hook(lambda m, gi, go: (gi[0] * 3,))
    net(x).sum().backward()
    assert x.grad.tolist() == [6 * g for g in plain]
    assert net[0].weight.grad.tolist() == [10.0] * 3


def test_backward_hook_without_differentiable_input_gets_the_output() -> None:
    layer, log = Scale(), []
    layer.register_full_backward_hook(lambda m, gi, go: log.append((gi, len(go))))
    layer(ad.ones(3)).sum().backward()
    assert log == [((None,), 1)]
    assert layer.weight.grad.tolist() == [1.0] * 3
    layer.register_full_backward_hook(lambda m, gi, go: gi)
    layer(ad.ones(3)).sum().backward()
    layer.register_full_backward_hook(lambda m, gi, go: (ad.ones(3),))
    with pytest.raises(RuntimeError, match="grad_input can't be replaced"):
        layer(ad.ones(3)).sum().backward()


# ---- state ----


def test_state_dict_has_pytorchs_keys_and_shares_memory() -> None:
    net = Net()
    state = net.state_dict()
    assert isinstance(state, OrderedDict)
    assert list(state) == [
        "gain",
        "first.weight",
        "first.offset",
        "body.0.weight",
        "body.0.offset",
        "body.1.0.weight",
        "body.1.0.offset",
        "tied.weight",
        "tied.offset",
    ]
    assert not state["gain"].requires_grad
    with ad.no_grad():
        net.gain.fill_(7.0)
    assert state["gain"].tolist() == [7.0]
    assert net.state_dict(keep_vars=True)["gain"] is net.gain
    assert next(iter(net.state_dict(prefix="model."))) == "model.gain"


def test_load_copies_into_the_memory_that_is_there() -> None:
    net, other = Net(), Net()
    with ad.no_grad():
        other.gain.fill_(4.0)
        other.first.offset.fill_(9.0)
    parameter, address = net.gain, net.gain.data_ptr()
    result = net.load_state_dict(other.state_dict())
    assert repr(result) == "<All keys matched successfully>"
    assert net.gain is parameter
    assert net.gain.data_ptr() == address
    assert net.gain.tolist() == [4.0]
    assert net.first.offset.tolist() == [9.0] * 3
    net.load_state_dict({k: v.numpy() for k, v in other.state_dict().items()})


@pytest.mark.usefixtures("compiled")
def test_the_memory_of_what_was_loaded_goes_back_to_the_system() -> None:
    net = nn.Linear(1024, 1024)
    ad.empty_cache()
    state = {key: ad.rand(value.shape) for key, value in net.state_dict().items()}
    net.load_state_dict(state)
    before = ad.memory_stats()
    state.clear()
    after = ad.memory_stats()
    assert before["reserved_bytes"] - after["reserved_bytes"] >= 4 << 20
    # a parameter's own memory is kept as ever
    reserved = after["reserved_bytes"]
    del net
    assert ad.memory_stats()["reserved_bytes"] == reserved


def test_load_casts_and_assigns() -> None:
    net = Scale()
    net.load_state_dict({"weight": np.arange(3.0), "offset": np.zeros(3)})
    assert net.weight.dtype == ad.float32
    assert net.weight.tolist() == [0.0, 1.0, 2.0]
    value = ad.ones(3)
    net.load_state_dict({"weight": value, "offset": value.clone()}, assign=True)
    assert net.weight.data_ptr() == value.data_ptr()
    assert isinstance(net.weight, nn.Parameter)


@pytest.mark.parametrize(
    ("wrap", "fix"),
    [
        (
            lambda state: {f"module.{key}": value for key, value in state.items()},
            "key.removeprefix('module.'): value for key, value",
        ),
        (
            lambda state: {f"model.net.{key}": value for key, value in state.items()},
            "key.removeprefix('model.net.'): value for key, value",
        ),
        (
            lambda state: {"model": state, "optimizer": {"state": {}}, "epoch": 3},
            "load_state_dict(state_dict['model'])",
        ),
    ],
)
def test_a_state_under_a_prefix_or_in_an_entry_gets_the_fix(wrap, fix):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    with pytest.raises(StateDictError) as caught:
        model.load_state_dict(wrap(model.state_dict()))
    assert str(caught.value).splitlines()[-1].strip().startswith("likely fix: ")
    assert fix in str(caught.value)


def test_another_models_state_gets_no_fix():
    with pytest.raises(StateDictError) as caught:
        nn.Linear(2, 3).load_state_dict({"a.x": ad.ones(1), "a.y": ad.ones(1)})
    assert "likely fix" not in str(caught.value)


def test_load_is_strict_by_name_and_shape() -> None:
    """One error lists all that does not fit, and nothing has been copied."""
    net = Net()
    state = net.state_dict()
    wrong = OrderedDict(
        (k, ad.zeros(3)) for k in state if k not in ("gain", "body.0.weight")
    )
    wrong["body.0.weight"] = ad.zeros(3, 1)  # as many elements, another shape
    wrong["extra"] = ad.zeros(1)
    wrong["body.7.weight"] = ad.zeros(1)
    with pytest.raises(StateDictError) as caught:
        net.load_state_dict(wrong)
    text = str(caught.value)
    assert "Error(s) in loading state_dict for Net:" in text
    assert 'Unexpected key(s) in state_dict: "extra", "body.7.weight".' in text
    assert 'Missing key(s) in state_dict: "gain".' in text
    assert "size mismatch for body.0.weight" in text
    assert "(3, 1)" in text
    assert net.first.weight.tolist() == [2.0] * 3, "nothing may be copied"
    assert isinstance(caught.value, RuntimeError)

    with pytest.raises(StateDictError, match="size mismatch"):
        net.load_state_dict(wrong, strict=False)
    del wrong["body.0.weight"]
    result = net.load_state_dict(wrong, strict=False)
    assert result.missing_keys == ["gain", "body.0.weight"]
    assert result.unexpected_keys == ["extra", "body.7.weight"]
    assert net.first.weight.tolist() == [0.0] * 3


def test_a_state_of_another_shape_or_kind_is_refused() -> None:
    layer = Scale()
    for value, match in (
        (ad.zeros(1), "size mismatch"),
        (ad.zeros(1, 3), "size mismatch"),
        (ad.tensor(1.0), "size mismatch"),
        (None, "expected a tensor"),
    ):
        with pytest.raises(StateDictError, match=match):
            layer.load_state_dict({"weight": value, "offset": ad.zeros(3)})
    with pytest.raises(TypeError, match="dict-like"):
        layer.load_state_dict([("weight", ad.zeros(3))])
    for given, fix in ((layer, r"its state_dict\(\)"), ("x.pt", r"load\('x.pt'\)")):
        with pytest.raises(TypeError, match=f"load_state_dict: .*likely fix: .*{fix}"):
            layer.load_state_dict(given)


def test_extra_state_and_state_hooks() -> None:
    class Counts(Scale):
        def __init__(self) -> None:
            super().__init__()
            self.count = 3

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    a, b = nn.Sequential(Counts()), nn.Sequential(Counts())
    a[0].count = 8
    log: list[str] = []
    a.register_state_dict_pre_hook(lambda m, prefix, keep: log.append("pre"))
    a.register_state_dict_post_hook(lambda m, state, prefix, meta: log.append("post"))
    state = a.state_dict()
    assert list(state)[-1] == "0._extra_state"
    b.register_load_state_dict_pre_hook(lambda m, *rest: log.append("load"))
    b.register_load_state_dict_post_hook(lambda m, keys: log.append("loaded"))
    b.load_state_dict(state)
    assert b[0].count == 8
    assert log == ["pre", "post", "load", "loaded"]


def test_user_may_rename_keys_when_loading() -> None:
    class Renamed(Scale):
        def _load_from_state_dict(self, state: Any, prefix: str, *rest: Any) -> None:
            state[f"{prefix}weight"] = state.pop(f"{prefix}gamma")
            super()._load_from_state_dict(state, prefix, *rest)

    net = nn.Sequential(Renamed())
    given = {"0.gamma": ad.zeros(3), "0.offset": ad.zeros(3)}
    net.load_state_dict(given)
    assert net[0].weight.tolist() == [0.0] * 3
    assert "0.gamma" in given, "the caller's dict stays"


# ---- copies ----


def test_what_a_call_left_on_a_module_is_copied_without_its_graph() -> None:
    net = Net()
    net.last = net(ad.ones(3))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.last.tolist() == net.last.tolist()
        assert twin.last.grad_fn is None
        assert twin.last.data_ptr() != net.last.data_ptr()
    assert net.last.grad_fn is not None


def test_deepcopy_and_pickle_keep_ties_and_values() -> None:
    net = Net()
    net(ad.ones(3)).sum().backward()
    net.first.register_forward_hook(print)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.tied is twin.first
        assert twin.first is not net.first
        assert isinstance(twin.gain, nn.Parameter)
        assert twin.gain is twin._parameters["gain"]
        assert twin.gain.data_ptr() != net.gain.data_ptr()
        assert twin.body[0] is twin.body._modules["0"]
        names = [name for name, _ in twin.named_parameters()]
        assert names == [name for name, _ in net.named_parameters()]
        with ad.no_grad():
            twin.gain.fill_(100.0)
        assert net.gain.tolist() == [1.0]


def test_a_module_dies_with_its_last_reference() -> None:
    gc.collect()
    gc.disable()
    try:
        net = Net()
        net.register_full_backward_hook(lambda m, gi, go: None)
        net(ad.ones(3, requires_grad=True)).sum().backward()
        watch = weakref.ref(net)
        del net
        assert watch() is None
    finally:
        gc.enable()


# ---- text ----


def test_repr_is_pytorchs() -> None:
    net = Net()
    net.list = nn.ModuleList([Scale(), Scale(), nn.Sequential()])
    assert repr(net) == (
        "Net(\n"
        "  (first): Scale(size=3)\n"
        "  (body): Sequential(\n"
        "    (0): Scale(size=3)\n"
        "    (1): Sequential(\n"
        "      (0): Scale(size=3)\n"
        "    )\n"
        "  )\n"
        "  (tied): Scale(size=3)\n"
        "  (list): ModuleList(\n"
        "    (0-1): 2 x Scale(size=3)\n"
        "    (2): Sequential()\n"
        "  )\n"
        ")"
    )


# ---- errors name the layer ----


class Flat(nn.Module):
    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 8), nn.Linear(in_features, 2))

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return self.encoder(x)


def test_shape_error_names_layer_definition_sizes_and_fix() -> None:
    with pytest.raises(ShapeError) as caught:
        Flat(9)(ad.zeros(5, 4))
    text = str(caught.value)
    assert "layer `encoder.1` Linear(in_features=9, out_features=2, bias=True)" in text
    assert "(5, 8)" in text or "(5,8)" in text
    assert "likely fix: Linear(in_features=8, ...)" in text
    assert text.count("layer `") == 1, "outer layers add nothing"


@pytest.mark.parametrize(
    ("layer", "shape", "fix"),
    [
        (lambda: nn.Linear(768, 10), (4, 64, 4, 4), r"Linear\(in_features=1024"),
        (lambda: nn.Linear(1024, 10), (4, 64, 4, 4), r"x\.flatten\(1\)"),
        (lambda: nn.Conv2d(3, 8, 3), (2, 4, 9, 9), r"Conv2d\(in_channels=4"),
        (lambda: nn.BatchNorm2d(3), (2, 4, 9, 9), r"BatchNorm2d\(num_features=4"),
        (lambda: nn.LSTM(3, 8), (5, 2, 4), r"LSTM\(input_size=4"),
    ],
)
def test_each_layer_says_what_would_fit(layer: Any, shape: Any, fix: str) -> None:
    with pytest.raises(ValueError, match=f"likely fix: .*{fix}"):
        layer()(ad.zeros(*shape))


def test_any_error_names_the_layer_and_keeps_its_type() -> None:
    class Odd(Exception):
        def __init__(self, code: int) -> None:
            super().__init__(code)

        def __str__(self) -> str:
            return "odd"

    class Bad(nn.Module):
        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

        def forward(self, x: Any) -> Any:
            raise self.error

    for error in (KeyError("k"), Odd(3), ZeroDivisionError(), OSError(2, "gone")):
        with pytest.raises(type(error)) as caught:
            nn.Sequential(nn.Identity(), Bad(error))(1)
        notes = " ".join(getattr(caught.value, "__notes__", ()))
        assert "layer `1` Bad" in f"{caught.value} {notes}"


def test_layer_is_named_after_an_error_and_in_threads() -> None:
    """An error leaves the stack of modules clean; threads do not see each other's."""
    net = Flat(9)
    for _ in range(2):
        with pytest.raises(ShapeError, match=r"layer `encoder\.1`"):
            net(ad.zeros(5, 4))
    texts: list[str] = []

    def work() -> None:
        try:
            nn.Sequential(nn.Linear(2, 2))(ad.zeros(1, 3))
        except ShapeError as error:
            texts.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 4
    assert all("layer `0` Linear(in_features=2" in text for text in texts)


# ---- containers ----


def test_sequential_slices_and_edits() -> None:
    a, b, c = Scale(1), Scale(2), Scale(3)
    net = nn.Sequential(a, b, c)
    assert list(net[1:]) == [b, c]
    assert isinstance(net[:1], nn.Sequential)
    assert net[-1] is c
    assert next(iter(net[1:].state_dict())) == "1.weight"
    net.insert(1, Scale(7))
    assert [m.size for m in net] == [1, 7, 2, 3]
    net.append(Scale(8)).extend([Scale(9)])
    assert len(net) == 6
    assert list(net._modules) == [str(i) for i in range(6)]
    assert net.pop(0) is a
    del net[1:3]
    assert [m.size for m in net] == [7, 8, 9]
    net[0] = c
    assert net[0] is c
    assert len(net + net) == 6
    assert len(net * 2) == 6
    with pytest.raises(IndexError, match="out of range"):
        net[3]
    with pytest.raises(TypeError, match="not a Module subclass"):
        net.insert(0, 3)


def test_sequential_from_a_dict_keeps_names() -> None:
    net = nn.Sequential(OrderedDict(one=Scale(1), two=Scale(2)))
    assert next(iter(net.state_dict())) == "one.weight"
    assert net[1] is net.two
    assert list(net[:1]._modules) == ["one"]
    assert ad.ones(1).tolist() == [1.0]


def test_a_removal_numbers_all_that_is_left_as_pytorch_does() -> None:
    net = nn.Sequential(OrderedDict(one=Scale(1), two=Scale(2), three=Scale(3)))
    net.pop(0)
    assert [name for name, _ in net.named_children()] == ["0", "1"]
    mixed = nn.Sequential(Scale(1), Scale(2), Scale(3))
    mixed.add_module("last", Scale(4))
    del mixed[1]
    assert list(mixed._modules) == ["0", "1", "2"]
    assert [m.size for m in mixed] == [1, 3, 4]


def test_module_list_and_dict() -> None:
    layers = nn.ModuleList([Scale(1), Scale(2)])
    layers += [Scale(3)]
    layers.insert(0, Scale(0))
    assert [m.size for m in layers] == [0, 1, 2, 3]
    assert [m.size for m in layers[1:3]] == [1, 2]
    assert isinstance(layers + layers, nn.ModuleList)
    named = nn.ModuleDict({"a": Scale(1), "b": Scale(2)})
    named["c"] = Scale(3)
    named.update([("a", Scale(9))])
    assert list(named) == ["a", "b", "c"]
    assert "b" in named
    assert named.pop("b").size == 2
    assert [m.size for m in named.values()] == [9, 3]
    assert next(iter(named.state_dict())) == "a.weight"
    with pytest.raises(KeyError):
        named["zzz"]
    named.clear()
    assert len(named) == 0


def test_parameter_list_and_dict() -> None:
    values = nn.ParameterList([ad.ones(2), nn.Parameter(ad.zeros(1))])
    values.append(ad.ones(3))
    assert isinstance(values[0], nn.Parameter)
    assert [p.numel() for p in values] == [2, 1, 3]
    assert [p.numel() for p in values[1:]] == [1, 3]
    assert list(values.state_dict()) == ["0", "1", "2"]
    assert "(0): Parameter containing: [pyautodl.float32 of size 2]" in repr(values)
    named = nn.ParameterDict({"left": ad.ones(2), "right": ad.ones(1)})
    assert list(named.keys()) == ["left", "right"]
    named["extra"] = ad.zeros(4)
    assert named.pop("left").numel() == 2
    assert list(named.state_dict()) == ["right", "extra"]
    assert "nothing" not in named
    assert named.get("nothing") is None
    assert len(named | {"x": ad.ones(1)}) == 3


def test_buffers_and_parameters_print_and_share() -> None:
    data = ad.ones(2)
    parameter = nn.Parameter(data)
    assert parameter.data_ptr() == data.data_ptr()
    assert repr(parameter).startswith("Parameter containing:\ntensor([1., 1.]")
    assert nn.Parameter(data, requires_grad=False).requires_grad is False
    with pytest.raises(DTypeError, match="floating"):
        nn.Parameter(ad.tensor([1]))
    assert type(parameter * 2) is ad.Tensor


# ---- what the packages show ----


def _names_by_module(package: Any) -> dict[str, list[str]]:
    found = {}
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        module = importlib.import_module(info.name)
        if not info.ispkg or "functional" in info.name:
            found[info.name] = list(getattr(module, "__all__", ()))
    return found


def test_packages_show_every_name_of_their_modules() -> None:
    private = {
        "_fusion",
        "_hooks",
        "_recorded",
        "_sizes",
        "functional",
        "init",
        "contraction",
        "numpy_names",
        "printing",
    }
    for package in (nn, ad.functional):
        for module, names in _names_by_module(package).items():
            if module.rpartition(".")[2] not in private:
                missing = [name for name in names if name not in package.__all__]
                assert not missing, f"{module} has {missing}"
        for name in package.__all__:
            assert hasattr(package, name)
            if package is ad.functional:
                is_module = isinstance(getattr(package, name), types.ModuleType)
                assert not is_module, f"{name} is a module"


def test_nn_functional_shows_what_the_families_define() -> None:
    """A function in PyTorch's torch.nn.functional must be brought along."""
    layers = {"pool", "norm", "conv", "loss", "softmax", "interpolate", "embedding"}
    for module, names in _names_by_module(ad.functional).items():
        if module.rpartition(".")[2] in layers:
            missing = [n for n in names if not hasattr(nn.functional, n)]
            assert not missing, f"{module} has {missing}"


def test_notebooks_show_a_tree_with_sizes() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers = [nn.Linear(3, 2), nn.ReLU(), nn.BatchNorm1d(2)]
            self.body = nn.ModuleList(layers)
            self.scale = nn.Parameter(ad.tensor(1.0))
            self.body[0].bias.requires_grad_(False)

        def extra_repr(self) -> str:
            return "<kind>"

    shown = Net()._repr_html_()
    for line in (
        "<b>Net</b>(&lt;kind&gt;) 13 parameters, 2 frozen",
        "<code>scale</code> () float32",
        "body: <b>ModuleList</b>() 12 parameters, 2 frozen",
        "0: <b>Linear</b>(in_features=3, out_features=2, bias=True) 8 parameters",
        "<code>weight</code> (2, 3) float32",
        "<code>running_mean</code> (2,) float32",
        "<div>1: <b>ReLU</b>()</div>",
    ):
        assert line in shown, line
    for tag in ("details", "summary", "div"):
        assert len(re.findall(f"<{tag}[ >]", shown)) == shown.count(f"</{tag}>")


def test_notebooks_leave_a_text_of_the_users_own() -> None:
    class Plain(nn.Linear):
        def __repr__(self) -> str:
            return "a & b"

    assert Plain(1, 1)._repr_html_() is None
    assert "<pre>a &amp; b</pre>" in nn.Sequential(Plain(1, 1))._repr_html_()


@pytest.mark.parametrize("index", ["a", 1.5])
def test_containers_are_indexed_by_whole_numbers(index) -> None:
    for container in (nn.Sequential(nn.ReLU()), nn.ModuleList([nn.ReLU()])):
        with pytest.raises(TypeError, match="expected a whole number or a slice, got"):
            container[index]
