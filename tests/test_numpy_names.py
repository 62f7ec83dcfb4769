"""`axis` and `keepdims` in the place of `dim` and `keepdim`, wherever PyTorch takes them."""

from __future__ import annotations

import pytest

import pyautodl as ad

X = ad.tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])
REDUCTIONS = {
    **dict.fromkeys(
        "sum mean nansum nanmean prod var std amax amin max min argmax argmin any all "
        "logsumexp median mode aminmax".split(),
        (),
    ),
    "quantile": (0.5,),
    "kthvalue": (2,),
}
OTHERS = {
    **dict.fromkeys(
        "cumsum cumprod softmax log_softmax count_nonzero sort argsort unbind diff".split(),
        (),
    ),
    "topk": (2,),
    "chunk": (2,),
    "tensor_split": (2,),
    "squeeze": (),
    "unsqueeze": (),
    "take_along_dim": (ad.tensor([[0, 0, 1]]),),
}


def _values(result):
    if isinstance(result, ad.Tensor):
        return [result.shape, result.tolist()]
    return [_values(each) for each in result]


@pytest.mark.parametrize("name", [*REDUCTIONS, *OTHERS])
def test_axis_is_dim(name):
    arguments = (X, *{**REDUCTIONS, **OTHERS}[name])
    for function in (getattr(ad, name), getattr(ad.Tensor, name)):
        wanted = _values(function(*arguments, dim=0))
        assert _values(function(*arguments, axis=0)) == wanted


@pytest.mark.parametrize("name", REDUCTIONS)
def test_keepdims_is_keepdim(name):
    arguments = (X, *REDUCTIONS[name])
    for function in (getattr(ad, name), getattr(ad.Tensor, name)):
        wanted = _values(function(*arguments, dim=1, keepdim=True))
        assert _values(function(*arguments, axis=1, keepdims=True)) == wanted
        assert _values(function(*arguments, dim=1, keepdims=True)) == wanted


def test_axis_of_functions_that_are_no_methods():
    for function in (ad.cat, ad.stack, ad.concat, ad.concatenate):
        assert _values(function([X, X], axis=1)) == _values(function([X, X], dim=1))
    for function in (ad.var_mean, ad.std_mean):
        wanted = _values(function(X, dim=1, keepdim=True))
        assert _values(function(X, axis=1, keepdims=True)) == wanted
    wanted = _values(ad.cosine_similarity(X, X + 1, dim=0))
    assert _values(ad.cosine_similarity(X, X + 1, axis=0)) == wanted


def test_axis_in_place():
    assert X.clone().unsqueeze_(axis=0).shape == (1, 2, 3)
    assert X.clone().cumsum_(axis=0).tolist() == X.cumsum(0).tolist()


def test_axis_keeps_the_gradient():
    x = X.clone().requires_grad_()
    x.sum(axis=1)[0].backward()
    assert x.grad.tolist() == [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]


def test_other_names_and_both_names_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'axes'"):
        ad.sum(X, axes=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'keepdims'"):
        ad.cumsum(X, 0, keepdims=True)
    with pytest.raises(TypeError, match=r"sum\(\) got both 'dim' and 'axis'"):
        X.sum(dim=1, axis=0)
    for name in ("cumsum", "cumprod", "unsqueeze", "logsumexp"):
        with pytest.raises(TypeError, match="dim must be an int"):
            getattr(ad, name)(X)
