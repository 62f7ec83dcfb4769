"""How an op is carried out for all samples of a batch at once, for `vmap`.

`RULES` has a rule for each op that can be: rule(call, name, inputs, attrs) gives what the op
`name` does for each sample, with the batch's axis first, written with other ops, as
gradients are. It returns NotImplemented where it can't; then, and for ops without a rule, the
samples go one after the other. Elementwise ops share a rule, which is not named there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyautodl.ops.batching import along as axes
from pyautodl.ops.batching import indexing, layers, pointwise, products, shapes
from pyautodl.ops.batching.operands import Operand
from pyautodl.ops.record import Op

__all__ = ["RULES", "UNSHAPED", "WITH_PARAMETERS", "run_batched"]

Rule = Callable[..., Any]

# ops whose result has a shape that depends on values, so that it may differ by sample
UNSHAPED = frozenset({"nonzero", "masked_select"})

# ops of which the batch becomes part of the first input's, where all samples share the
# others: worth it also where these have gradients by sample, see tensor/repeated.py
WITH_PARAMETERS = frozenset({"conv", "conv_relu", "conv_transpose"})

# on matrices, or rows, of the last axes
_IN_FRONT = (
    "alias cast cholesky cofactors det eig eigh fft inverse irfft lu "
    "overwritten pinv qr rfft slogdet svd tri zeros_like dropout_grad"
)
_ALONG_DIM = (
    "cummax cummin cumprod cumsum gather linear_scan logcumsumexp log_softmax "
    "log_softmax_grad masked_softmax masked_softmax_grad overlap_add scatter "
    "scatter_add scatter_amax scatter_amin scatter_prod softmax softmax_grad split"
)
_REDUCTIONS = (
    "all amax amin any argmax argmin logsumexp max_dim mean min_dim norm prod std std_mean "
    "sum var var_mean"
)
_FOLDED = (
    "adaptive_avg_pool adaptive_max_pool avg_pool avg_pool_again avg_pool_grad cdist "
    "cdist_grad col2im resample "
    "grid_sample grid_sample_grad im2col interpolate interpolate_grad max_pool "
    "max_pool_grad max_pool_take"
)
_LOSSES = (
    "binary_cross_entropy binary_cross_entropy_with_logits huber_loss kl_div "
    "kl_div_log_target l1_loss mse_loss smooth_l1_loss"
)

# of ops that are not elementwise: those all have one
RULES: dict[str, Rule] = {
    **dict.fromkeys(_IN_FRONT.split(), pointwise.in_front),
    **dict.fromkeys(_ALONG_DIM.split(), axes.along("dim")),
    **dict.fromkeys(_REDUCTIONS.split(), axes.reduction),
    **dict.fromkeys(_FOLDED.split(), layers.folded),
    **dict.fromkeys(_LOSSES.split(), pointwise.reduced_loss),
    **{f"{name}_grad": layers.scaled_gradient for name in _LOSSES.split()},
    "batch_norm": layers.batch_norm,
    "batch_norm_eval": layers.fixed_norm,
    "batch_norm_relu": layers.batch_norm,
    "batch_norm_relu_eval": layers.fixed_norm,
    "cat": axes.joined,
    "conv": products.conv,
    "conv_epilogue": products.conv_epilogue,
    "conv_relu": products.conv,
    "conv_transpose": products.conv_transpose,
    "conv_weight_grad": products.conv_weight_grad,
    "copy": shapes.copied,
    "cross_entropy": layers.class_loss,
    "cross_entropy_grad": layers.scaled_gradient,
    "diagonal": shapes.diagonal,
    "diagonal_scatter": shapes.diagonal,
    "embedding": indexing.embedding,
    "embedding_grad": indexing.embedding_grad,
    "expand": shapes.expanded,
    "flip": axes.along("dims"),
    "group_norm": layers.group_norm,
    "gru": layers.recurrent,
    "index_add": indexing.index_added,
    "index_copy": indexing.index_added,
    "index_rows": indexing.index_rows,
    "index_select": indexing.index_select,
    "kthvalue": axes.along("dim", dim=-1),
    "layer_norm": layers.layer_norm,
    "linear": products.linear,
    "linear_grad": products.linear_grad,
    "linear_relu": products.linear,
    "lstm": layers.recurrent,
    "matmul": products.matmul,
    "nll_loss": layers.class_loss,
    "nll_loss_grad": layers.scaled_gradient,
    "one_hot": pointwise.in_front,
    "pad": shapes.padded,
    "pad_edges": shapes.padded,
    "pad_edges_grad": shapes.padded,
    "permute": shapes.permuted,
    "reshape": shapes.reshaped,
    "rms_norm": layers.layer_norm,
    "rnn": layers.recurrent,
    "roll": axes.along("dims"),
    "slice": shapes.sliced,
    "slice_scatter": shapes.scattered,
    "solve": pointwise.elementwise,
    "stack": axes.joined,
    "sum_to": shapes.summed_to,
    "topk": axes.along("dim", dim=-1),
    "unbind": axes.along("dim", dim=0),
    "unfold": axes.windows,
}


def run_batched(
    op: Op,
    call: Callable[..., Any],
    size: int,
    inputs: Sequence[Any],
    mapped: Sequence[bool],
    attrs: Mapping[str, Any],
) -> Any:
    """What an op gives for all samples, with the batch's axis first.

    Args:
        op: the op, which the caller has let check the inputs of one sample.
        call: call(name, *tensors, **attrs), as gradients have it.
        size: how many samples there are.
        inputs: batches, and what is the same for all samples.
        mapped: which of them are batches.
        attrs: the attributes for one sample.
    """
    rule = RULES.get(op.name) or (pointwise.elementwise if op.elementwise else None)
    if rule is not None:
        xs = [Operand(call, x, is_mapped, size) for x, is_mapped in zip(inputs, mapped)]
        found = rule(call, op.name, xs, attrs)
        if found is not NotImplemented:
            return found
    return _one_by_one(op, call, size, inputs, mapped, attrs)


def _one_by_one(
    op: Op,
    call: Callable[..., Any],
    size: int,
    inputs: Sequence[Any],
    mapped: Sequence[bool],
    attrs: Mapping[str, Any],
) -> Any:
    """The samples' results, stacked."""
    columns = [
        call("unbind", x, dim=0) if is_mapped else (x,) * size
        for x, is_mapped in zip(inputs, mapped)
    ]
    rows = [call(op.name, *row, **attrs) for row in zip(*columns)]
    if type(rows[0]) is tuple:
        return tuple([call("stack", *each, dim=0) for each in zip(*rows)])
    return call("stack", *rows, dim=0)
