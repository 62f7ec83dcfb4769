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
# # Automatic differentiation from scratch
#
# A network learns by following its gradient, and no one derives the gradient of a network
# by hand. This notebook builds reverse-mode automatic differentiation in some forty lines,
# trains a small network with it, and then shows that `pyautodl` does the same, with arrays
# in place of numbers.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import pyautodl as ad
from pyautodl import nn

# %% [markdown]
# ## A number that remembers
#
# A `Value` knows from which values it was computed, and the derivative of each step. The
# chain rule then says: the derivative of the result by a value is the sum, over all uses of
# the value, of (derivative of the result by the use) times (derivative of the use by the
# value). Walking backwards, latest first, each value has its whole sum before it hands it on.


# %%
class Value:
    """A number, the numbers it came from, and the local derivatives."""

    count = 0

    def __init__(self, data, sources=(), slopes=()):
        self.data = data
        self.sources, self.slopes = sources, slopes
        self.grad = 0.0
        Value.count += 1
        self.number = Value.count

    def __add__(self, other):
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def tanh(self):
        t = math.tanh(self.data)
        return Value(t, (self,), (1 - t * t,))

    def backward(self):
        seen, stack = {self}, [self]
        while stack:
            for source in stack.pop().sources:
                if source not in seen:
                    seen.add(source)
                    stack.append(source)
        self.grad = 1.0
        for value in sorted(seen, key=lambda each: -each.number):
            for source, slope in zip(value.sources, value.slopes):
                source.grad += slope * value.grad


a = Value(1.0)
b = a + a
c = b + b
c.backward()
print("c = 4a, so dc/da is", a.grad)

# %% [markdown]
# ## Is it right?
#
# Finite differences answer: move one input a little, and see how much the result moves.


# %%
def f(x, y):
    return (x * y + x).tanh() * y


x, y = Value(0.3), Value(-1.2)
f(x, y).backward()
h = 1e-6
numeric = (
    f(Value(0.3 + h), Value(-1.2)).data - f(Value(0.3 - h), Value(-1.2)).data
) / (2 * h)
print(f"backward {x.grad:.9f}, finite differences {numeric:.9f}")
assert abs(x.grad - numeric) < 1e-8

# %% [markdown]
# ## The same with tensors
#
# `pyautodl` records the same graph, with one node for each operation on whole arrays.

# %%
tx = ad.tensor(0.3, dtype=ad.float64, requires_grad=True)
ty = ad.tensor(-1.2, dtype=ad.float64, requires_grad=True)
result = (tx * ty + tx).tanh() * ty
result.backward()
print("x:", tx.grad.item(), " y:", ty.grad.item())
assert abs(tx.grad.item() - x.grad) < 1e-12 and abs(ty.grad.item() - y.grad) < 1e-12

# %% [markdown]
# The nodes can be looked at: each result knows the call that made it, and that call knows
# where its inputs came from.

# %%
node, depth = result.grad_fn, 0
while node is not None and hasattr(node, "next_functions"):
    print("  " * depth, node)
    node, depth = node.next_functions[0][0], depth + 1

# %% [markdown]
# ## Gradients of gradients
#
# The backward pass is made of operations that can be recorded too. So derivatives of any
# order come by themselves; here those of the sine.

# %%
t = ad.linspace(-math.pi, math.pi, 200, dtype=ad.float64).requires_grad_()
curve = ad.sin(t)
curves = [curve]
for _ in range(3):
    (curve,) = ad.autograd.grad(curve.sum(), t, create_graph=True)
    curves.append(curve)

for order, each in enumerate(curves):
    plt.plot(t.detach().numpy(), each.detach().numpy(), label=f"derivative {order}")
plt.xlabel("t")
plt.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.title("sine and its derivatives, by backward passes")
plt.show()

# %% [markdown]
# ## A network that learns
#
# One hidden layer, thirty values wide, fitted to a noisy curve.

# %%
ad.manual_seed(0)
rng = np.random.default_rng(0)
points = ad.linspace(-3, 3, 120).reshape(-1, 1)
wanted = ad.sin(points) + ad.tensor(rng.normal(0, 0.1, (120, 1)).astype(np.float32))
model = nn.Sequential(nn.Linear(1, 30), nn.Tanh(), nn.Linear(30, 1))
optimizer = ad.optim.Adam(model.parameters(), lr=0.02)
losses = []
for _ in range(400):
    loss = nn.functional.mse_loss(model(points), wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < 0.02

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
left.semilogy(losses)
left.set_title("loss")
left.set_xlabel("step")
left.set_ylabel("mean squared error")
right.plot(points.numpy(), wanted.numpy(), ".", label="data")
right.plot(points.numpy(), model(points).detach().numpy(), label="network")
right.set_title("noisy sine")
right.set_xlabel("x")
right.legend()
plt.show()

# %% [markdown]
# ## Checking a gradient of your own
#
# `gradcheck` compares backward with finite differences, as above, for any function.

# %%
inputs = ad.tensor(rng.normal(size=(4, 3)), requires_grad=True)
print(ad.autograd.gradcheck(lambda z: (z * z.tanh()).sum(1), (inputs,)))
