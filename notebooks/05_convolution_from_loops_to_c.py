# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A convolution, from loops to C
#
# The same layer four times: loops as in the definition, loops over the kernel alone, a matrix
# product of columns (im2col), and the library's C kernel. All give the same numbers; they
# differ by factors of thousands in time.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import pyautodl as ad
import pyautodl.nn.functional as F

rng = np.random.default_rng(0)
n, c, h, w, o, k = 2, 8, 16, 16, 16, 3
x = rng.standard_normal((n, c, h, w)).astype(np.float32)
weight = rng.standard_normal((o, c, k, k)).astype(np.float32)

# %% [markdown]
# ## 1. As it is defined
#
# Each output is a sum over a window of all channels: seven loops.


# %%
def by_loops(x, weight):
    n, c, h, w = x.shape
    o, _, k, _ = weight.shape
    y = np.zeros((n, o, h - k + 1, w - k + 1), np.float32)
    for b in range(n):
        for f in range(o):
            for i in range(h - k + 1):
                for j in range(w - k + 1):
                    total = 0.0
                    for ch in range(c):
                        for di in range(k):
                            for dj in range(k):
                                total += (
                                    x[b, ch, i + di, j + dj] * weight[f, ch, di, dj]
                                )
                    y[b, f, i, j] = total
    return y


# %% [markdown]
# ## 2. Loops over the kernel alone
#
# For each of the nine places in the kernel, the whole shifted image takes part at once.


# %%
def by_shifts(x, weight):
    n, _c, h, w = x.shape
    o, _, k, _ = weight.shape
    y = np.zeros((n, o, h - k + 1, w - k + 1), np.float32)
    for di in range(k):
        for dj in range(k):
            part = x[:, :, di : di + h - k + 1, dj : dj + w - k + 1]
            y += np.einsum("nchw,oc->nohw", part, weight[:, :, di, dj])
    return y


# %% [markdown]
# ## 3. im2col: one matrix product
#
# Write each window as a column; the convolution is then a product of matrices, which computers
# do best. The price is memory: a pixel stands in nine columns, at the edge in fewer.


# %%
def by_columns(x, weight):
    n, c, h, w = x.shape
    o, _, k, _ = weight.shape
    oh, ow = h - k + 1, w - k + 1
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * k * k)
    y = columns @ weight.reshape(o, -1).T
    return y.reshape(n, oh, ow, o).transpose(0, 3, 1, 2)


columns_bytes = n * (h - k + 1) * (w - k + 1) * c * k * k * 4
print(f"image {x.nbytes:,} bytes, columns {columns_bytes:,} bytes")

# %% [markdown]
# ## 4. The library
#
# The C kernel packs, for each thread, just the part of the column matrix that its
# micro-kernel is about to read, so the matrix never exists as a whole. Channels lie next to
# each other in memory, so packing copies contiguous runs. For larger layers the library may
# choose Winograd's algorithm, which needs fewer products; it tells which one, and why.

# %%
tx, tw = ad.tensor(x), ad.tensor(weight)


def by_library(x, weight):
    return F.conv2d(x, weight)


print(ad.explain_conv(tx, tw))
print(ad.explain_conv((32, 64, 56, 56), (64, 64, 3, 3)))


# %% [markdown]
# ## Do they agree?

# %%
reference = by_loops(x, weight)
for function in (by_shifts, by_columns):
    print(function.__name__, np.abs(function(x, weight) - reference).max())
    assert np.allclose(function(x, weight), reference, atol=1e-3)
ours = by_library(tx, tw).numpy()
print("library", np.abs(ours - reference).max())
assert np.allclose(ours, reference, atol=1e-3)

# %% [markdown]
# ## How long do they take?


# %%
def milliseconds(function, *arguments, repeats):
    function(*arguments)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - began)
    return sorted(times)[repeats // 2] * 1e3


times = {
    "loops": milliseconds(by_loops, x, weight, repeats=1),
    "shifts": milliseconds(by_shifts, x, weight, repeats=9),
    "im2col in NumPy": milliseconds(by_columns, x, weight, repeats=9),
    "C kernel": milliseconds(by_library, tx, tw, repeats=9),
}
for name, each in times.items():
    print(f"{name:<16} {each:10.3f} ms")

# %%
plt.figure(figsize=(6, 2.6))
plt.barh(list(times), list(times.values()), color="#1f6fb2")
plt.xscale("log")
plt.xlabel("milliseconds, logarithmic")
plt.gca().invert_yaxis()
plt.show()

# %% [markdown]
# ## And backwards
#
# The gradient of a convolution is made of convolutions: by the input, one with the kernel
# turned around; by the weights, one of the image with the gradient. `gradcheck` compares both
# with finite differences, in double precision.

# %%
small = ad.tensor(rng.standard_normal((1, 2, 5, 5)), requires_grad=True)
kernel = ad.tensor(rng.standard_normal((3, 2, 3, 3)), requires_grad=True)
print(ad.autograd.gradcheck(lambda a, b: F.conv2d(a, b, padding=1), (small, kernel)))
print(
    ad.autograd.gradgradcheck(lambda a, b: F.conv2d(a, b, padding=1), (small, kernel))
)
