"""Functions and layers on matrix products that are no ops of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyautodl as ad
import pyautodl.nn.functional as F
from pyautodl import nn
from pyautodl.autograd import gradcheck
from pyautodl.errors import DTypeError, ShapeError


def numbers(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def check(function: Any, wanted: Any, *inputs: np.ndarray[Any, Any]) -> None:
    """The value is NumPy's, the gradient that of differences."""
    tensors = [ad.tensor(x, requires_grad=True) for x in inputs]
    found = function(*tensors)
    expected = np.asarray(wanted(*inputs))
    assert tuple(found.shape) == expected.shape
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-12)
    assert gradcheck(function, tensors)


# ---- einsum ----


EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij->ji", (2, 3)),
    ("ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("...ii->...i", (2, 3, 3)),
    ("iij,jk->ik", (3, 3, 4), (4, 2)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("...ij,...jk->...ik", (2, 3, 4), (5, 1, 4, 2)),
    ("i,j", (3,), (4,)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("bn,anm,bm->ba", (2, 3), (5, 3, 4), (2, 4)),
    ("bhqk,bkhd->bqhd", (2, 2, 3, 4), (2, 4, 2, 3)),
    ("bA,Cb", (3, 2), (4, 3)),
    ("ij,jk->k", (2, 3), (3, 4)),
    ("i,i,i->i", (3,), (3,), (3,)),
    ("bij,bjk->ik", (2, 3, 4), (2, 4, 5)),
    (" ij , jk -> ik ", (2, 3), (3, 4)),
    ("...,...->...", (2, 3), (3,)),
    (",i->i", (), (3,)),
    ("i...->...", (2, 3)),
    ("ij,jk->ik", (2, 0), (0, 4)),
]


@pytest.mark.parametrize(("equation", "shapes"), [(e, s) for e, *s in EQUATIONS])
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    inputs = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    check(
        lambda *tensors: ad.einsum(equation, *tensors),
        lambda *arrays: np.einsum(equation, *arrays),
        *inputs,
    )


def test_einsum_broadcasts_axes_of_size_1() -> None:
    wide = np.einsum("ij,jk->ik", np.tile(numbers(2, 1), (1, 3)), numbers(3, 4))
    check(
        lambda x, y: ad.einsum("ij,jk->ik", x, y),
        lambda *_: wide,
        numbers(2, 1),
        numbers(3, 4),
    )
    batch = np.einsum("bi,bj->bij", np.tile(numbers(1, 3), (5, 1)), numbers(5, 4))
    check(
        lambda x, y: ad.einsum("bi,bj->bij", x, y),
        lambda *_: batch,
        numbers(1, 3),
        numbers(5, 4),
    )


NARROW = pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32"])


@NARROW
@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", ((2, 1), (1, 3))),
        ("ij,kj->ik", ((2, 3), (2, 1))),
        ("ij,j->i", ((2, 3), (3,))),
        ("ijl,jk->ik", ((2, 3, 4), (3, 2))),
        ("...i,oij,...j->...o", ((2, 1), (3, 1, 1), (2, 1))),
    ],
)
def test_einsum_of_narrow_integers_keeps_their_type(
    equation: str, shapes: Any, dtype: str
) -> None:
    arrays = [np.arange(1, 1 + np.prod(s)).reshape(s).astype(dtype) for s in shapes]
    wide = np.einsum(equation, *[x.astype(np.int64) for x in arrays])
    for _ in range(2):  # by the steps that were found the first time, too
        found = ad.einsum(equation, *map(ad.tensor, arrays))
        assert found.dtype.name == dtype
        np.testing.assert_array_equal(found.numpy(), wide.astype(dtype))
    # the same shapes in another type
    floats = ad.einsum(equation, *[ad.tensor(x.astype(np.float32)) for x in arrays])
    np.testing.assert_array_equal(floats.numpy(), wide.astype(np.float32))


@NARROW
def test_sums_of_products_over_one_of_narrow_integers(dtype: str) -> None:
    def whole(*shape: int) -> ad.Tensor:
        return ad.full(shape, 3, dtype=getattr(ad, dtype))

    out = F.bilinear(whole(2, 1), whole(2, 1), whole(4, 1, 1))
    assert out.dtype.name == dtype
    assert out.tolist() == [[27] * 4] * 2
    out = ad.addbmm(whole(2, 2), whole(1, 2, 3), whole(1, 3, 2))
    assert out.dtype.name == dtype
    assert out.tolist() == [[30, 30]] * 2


def test_einsum_takes_a_list() -> None:
    x = ad.tensor(numbers(2, 2))
    assert ad.einsum("ij,jk", [x, x]).tolist() == (x @ x).tolist()


@pytest.mark.parametrize(
    ("equation", "shapes", "words"),
    [
        ("ij,jk->ik", [(2, 3), (2, 4)], "'j' has sizes 3 and 2"),
        ("ii->i", [(1, 3)], "'i' has sizes 1 and 3"),
        ("ij->k", [(2, 3)], "in no operand"),
        ("ij->ii", [(2, 3)], "twice in the output"),
        ("ijk", [(2, 3)], "names 3 axes, the operand has 2"),
        ("ij,jk", [(2, 3)], "names 2 operands, got 1"),
        ("i1", [(2, 3)], "expected letters"),
    ],
)
def test_einsum_refuses(equation: str, shapes: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        ad.einsum(equation, *(ad.ones(*shape) for shape in shapes))


# ---- the others ----


def test_products_of_two_axes_and_fewer() -> None:
    check(ad.mm, np.matmul, numbers(2, 3), numbers(3, 4))
    check(ad.bmm, np.matmul, numbers(5, 2, 3), numbers(5, 3, 4))
    check(ad.mv, np.matmul, numbers(2, 3), numbers(3))
    check(ad.dot, np.dot, numbers(3), numbers(3, seed=1))
    check(ad.vdot, np.vdot, numbers(3), numbers(3, seed=1))
    check(ad.inner, np.inner, numbers(2, 3), numbers(4, 3))
    check(ad.inner, np.inner, numbers(), numbers(3))
    check(ad.outer, np.outer, numbers(2), numbers(3))
    check(ad.ger, np.outer, numbers(2), numbers(3))
    check(ad.kron, np.kron, numbers(2, 3), numbers(4))
    check(ad.kron, np.kron, numbers(2), numbers(3, 2))


def test_tensordot() -> None:
    x, y = numbers(2, 3, 4), numbers(3, 4, 5)
    check(ad.tensordot, np.tensordot, x, y)
    check(
        lambda a, b: ad.tensordot(a, b, 0), lambda a, b: np.tensordot(a, b, 0), x, y[0]
    )
    dims = ([1, -1], [0, 1])
    check(
        lambda a, b: ad.tensordot(a, b, dims),
        lambda a, b: np.tensordot(a, b, dims),
        x,
        y,
    )
    with pytest.raises(ShapeError, match="do not meet"):
        ad.tensordot(ad.ones(2, 3), ad.ones(2, 3), 1)


def test_chain_matmul_chooses_the_cheap_order() -> None:
    matrices = [numbers(2, 3), numbers(3, 4), numbers(4, 5), numbers(5, 1)]
    check(ad.chain_matmul, lambda *x: np.linalg.multi_dot(x), *matrices)
    # from the left this would need 10^9 operations in a 10^4 x 10^4 matrix
    column, row = ad.ones(10_000, 1), ad.ones(1, 10_000)
    assert ad.chain_matmul(column, row, column).shape == (10_000, 1)


@pytest.mark.parametrize("beta", [0, 1, 0.5])
@pytest.mark.parametrize("alpha", [1, 2])
def test_products_that_are_added(beta: float, alpha: float) -> None:
    a, b, vector = numbers(2, 4), numbers(4, 3), numbers(4)
    factors = {"beta": beta, "alpha": alpha}

    def both(name: str, product: Any, *inputs: Any) -> None:
        value = beta * inputs[0] + alpha * product
        found = getattr(ad, name)(*map(ad.tensor, inputs), **factors)
        np.testing.assert_allclose(found.numpy(), value, atol=1e-12)

    both("addmm", a @ b, numbers(3), a, b)
    both("addmm", a @ b, numbers(2, 3), a, b)
    both("addmv", a @ vector, numbers(2), a, vector)
    both("addr", np.outer(a[0], b[0]), numbers(4, 3), a[0], b[0])
    x, y = numbers(5, 2, 4), numbers(5, 4, 3)
    both("baddbmm", x @ y, numbers(2, 3), x, y)
    both("addbmm", (x @ y).sum(0), numbers(2, 3), x, y)


def test_with_beta_0_nan_is_ignored_and_the_gradient_is_0() -> None:
    def check(name: str, shape: tuple[int, ...], *factors: Any) -> None:
        x = ad.full(shape, float("nan"), requires_grad=True)
        out = getattr(ad, name)(x, *factors, beta=0)
        assert out.isfinite().all()
        out.sum().backward()
        assert x.grad.tolist() == ad.zeros(shape).tolist()

    a, b, vector = ad.ones(2, 4), ad.ones(4, 3), ad.ones(4)
    check("addmm", (3,), a, b)
    check("addmm", (2, 3), a, b)
    check("addmv", (2,), a, vector)
    check("addr", (4, 4), vector, vector)
    check("baddbmm", (1, 2, 3), a[None], b[None])
    check("addbmm", (2, 3), a[None], b[None])


def whole_products(dtype: Any) -> list[tuple[str, tuple[ad.Tensor, ...], int]]:
    """A function that adds to a product, its operands of ones, its product."""

    def ones(*shape: int) -> ad.Tensor:
        return ad.ones(*shape, dtype=dtype)

    return [
        ("addmm", (ones(2, 2), ones(2, 3), ones(3, 2)), 3),
        ("addmv", (ones(2), ones(2, 3), ones(3)), 3),
        ("addr", (ones(2, 2), ones(2), ones(2)), 1),
        ("baddbmm", (ones(1, 2, 2), ones(1, 2, 3), ones(1, 3, 2)), 3),
        ("addbmm", (ones(2, 2), ones(1, 2, 3), ones(1, 3, 2)), 3),
    ]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
def test_factors_of_whole_products_wrap(dtype: str) -> None:
    kind = getattr(ad, dtype)
    for name, inputs, product in whole_products(kind):
        for beta, alpha in ((1, -1), (-1, 1), (1, 2.0), (3, -200), (1, 300)):
            found = getattr(ad, name)(*inputs, beta=beta, alpha=alpha)
            wanted = np.array([beta + int(alpha) * product]).astype(dtype)[0]
            assert found.dtype.name == dtype
            assert set(found.flatten().tolist()) == {wanted}
        for key in ("alpha", "beta"):
            with pytest.raises(TypeError, match=f"{name}: {key} must be an integer"):
                getattr(ad, name)(*inputs, **{key: 2.5})


def test_with_alpha_0_nan_of_the_matrices_is_ignored_as_pytorch_does() -> None:
    for name, (x, *factors), _ in whole_products(ad.float32):
        bad = [each * float("nan") for each in factors]
        found = getattr(ad, name)(x, *bad, alpha=0)
        if name in ("addr", "baddbmm"):
            assert found.isnan().all()
            continue
        assert found.tolist() == x.tolist()
        leaves = [each.requires_grad_() for each in factors]
        getattr(ad, name)(x, *leaves, alpha=0).sum().backward()
        for each in leaves:
            assert each.grad.tolist() == ad.zeros_like(each).tolist()


def test_addmm_in_place() -> None:
    x = ad.ones(2, 2)
    assert x.addmm_(ad.ones(2, 3), ad.ones(3, 2)) is x
    assert x.tolist() == [[4.0, 4.0], [4.0, 4.0]]


def test_operator_takes_numpy_on_the_left() -> None:
    out = np.ones((2, 3), np.float32) @ ad.ones(3, 1)
    assert isinstance(out, ad.Tensor)
    assert out.tolist() == [[3.0], [3.0]]


def test_integers_wrap_and_bools_are_refused() -> None:
    x = ad.tensor(np.array([[200, 3]], np.uint8))
    assert (x @ x.reshape(2, 1)).item() == (200 * 200 + 9) % 256
    with pytest.raises(DTypeError, match="bool"):
        ad.ones(2, 2, dtype=ad.bool) @ ad.ones(2, 2, dtype=ad.bool)


def test_wrong_operands_are_named() -> None:
    with pytest.raises(ShapeError, match=r"mm: input must have 2 axes, got 1"):
        ad.mm(ad.ones(3), ad.ones(3, 3))
    with pytest.raises(ShapeError, match=r"bmm: the batch sizes differ"):
        ad.bmm(ad.ones(2, 3, 3), ad.ones(1, 3, 3))
    with pytest.raises(ShapeError, match=r"addmm: input \(4, 4\) does not broadcast"):
        ad.addmm(ad.ones(4, 4), ad.ones(2, 2), ad.ones(2, 2))
    with pytest.raises(ShapeError, match=r"addmm: input \(4, 4\) does not broadcast"):
        ad.addmm(ad.ones(4, 4), ad.ones(2, 2), ad.ones(2, 2), beta=0)
    with pytest.raises(TypeError, match=r"mm: input must be a tensor, got int"):
        ad.mm(3, ad.ones(3, 3))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"expected 3 features .* got 5"):
        nn.Linear(3, 4)(ad.ones(2, 5))


# ---- layers ----


def test_linear_layer() -> None:
    layer = nn.Linear(4, 3)
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert repr(layer) == "Linear(in_features=4, out_features=3, bias=True)"
    assert np.abs(layer.weight.detach().numpy()).max() <= 0.5
    x = numbers(2, 5, 4).astype(np.float32)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    found = layer(ad.tensor(x)).detach().numpy()
    np.testing.assert_allclose(found, x @ weight.T + bias, rtol=1e-5, atol=1e-6)
    assert nn.Linear(4, 3, bias=False).bias is None


def test_linear_with_a_vector_of_weights() -> None:
    check(F.linear, lambda x, w: x @ w, numbers(2, 3), numbers(3))


def test_bilinear_layer() -> None:
    layer = nn.Bilinear(2, 3, 4)
    assert repr(layer) == (
        "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)"
    )
    assert layer(ad.ones(5, 2), ad.ones(5, 3)).shape == (5, 4)
    check(
        F.bilinear,
        lambda x, y, w, b: np.einsum("ni,oij,nj->no", x, w, y) + b,
        numbers(2, 3),
        numbers(2, 4),
        numbers(5, 3, 4),
        numbers(5),
    )


def test_identity_layer() -> None:
    x = ad.ones(2)
    assert nn.Identity(3, anything=4)(x) is x


@pytest.mark.parametrize(
    ("rows", "batch"), [((3, 4, 5), (3,)), ((2, 3, 1, 5), (2, 3)), ((3, 0, 5), (3,))]
)
def test_a_matrix_that_a_batch_repeats(rows: Any, batch: Any) -> None:
    normal = np.random.default_rng(0).standard_normal
    left, right = normal(rows), normal((5, 6))
    for turned in (False, True):
        a = ad.tensor(left, requires_grad=True)
        b = ad.tensor(right.T.copy() if turned else right, requires_grad=True)
        repeated = (b.T if turned else b).expand(*batch, 5, 6)
        product = a @ repeated
        expected = left @ np.broadcast_to(right, (*batch, 5, 6))
        np.testing.assert_allclose(product.detach().numpy(), expected, rtol=1e-12)
        product.square().sum().backward()
        slope = left.reshape(-1, 5).T @ (2 * expected).reshape(-1, 6)
        np.testing.assert_allclose(
            b.grad.numpy(), slope.T if turned else slope, rtol=1e-9
        )
        np.testing.assert_allclose(a.grad.numpy(), 2 * expected @ right.T, rtol=1e-12)
