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
# # Sequences: an LSTM
#
# A recurrent network reads a sequence step by step and carries a state along. This notebook
# looks into one LSTM cell, lets an LSTM continue a curve, and lets one read digits row by row,
# with sequences of different lengths in one batch.

# %%
import matplotlib.pyplot as plt
import numpy as np

import pyautodl as ad
from pyautodl import nn
from pyautodl.data import load_digits, train_validation_test_split
from pyautodl.models import LSTMClassifier
from pyautodl.nn.utils.rnn import pack_padded_sequence
from pyautodl.optim.lr_scheduler import CosineAnnealingLR
from pyautodl.train import Trainer

# %% [markdown]
# ## One step by hand
#
# Four gates: what to let in (i), what to forget (f), what is new (g), what to show (o). The
# layer computes all steps in one C kernel; a step in plain tensors gives the same.

# %%
ad.manual_seed(0)
cell = nn.LSTM(3, 4)
x, h, c = ad.randn(1, 1, 3), ad.randn(1, 1, 4), ad.randn(1, 1, 4)
gates = (
    x[0] @ cell.weight_ih_l0.T
    + cell.bias_ih_l0
    + h[0] @ cell.weight_hh_l0.T
    + cell.bias_hh_l0
)
i, f, g, o = gates.chunk(4, 1)
by_hand = f.sigmoid() * c[0] + i.sigmoid() * g.tanh()
shown = o.sigmoid() * by_hand.tanh()
output, (last_h, last_c) = cell(x, (h, c))
print(shown.tolist())
print(output[0].tolist())
assert np.allclose(shown.detach().numpy(), output[0].detach().numpy(), atol=1e-6)

# %% [markdown]
# ## Continuing a curve
#
# The LSTM sees the first 400 values of a sum of two sines and learns to tell the next one.
# Then it runs on its own answers, where each small error is carried along.
#
# How fine the curve is sampled matters: with three times as many values the next one is nearly
# the last one, which is a good answer for a step, but a bad one to run on.

# %%
t = np.arange(600) * 0.3
series = (np.sin(t) + 0.5 * np.sin(2.7 * t)).astype(np.float32)
window = 40
inputs = np.stack([series[k : k + window] for k in range(400 - window)])[..., None]
targets = np.stack([series[k + 1 : k + window + 1] for k in range(400 - window)])[
    ..., None
]


class Forecaster(nn.Module):
    """An LSTM and a linear layer on each of its states."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x, state=None):
        y, state = self.lstm(x, state)
        self.state = tuple(each.detach() for each in state)
        return self.head(y)


ad.manual_seed(0)
model = Forecaster()
optimizer = ad.optim.Adam(model.parameters(), lr=1e-2)
history = Trainer(model, "mean_squared_error", optimizer).fit(
    (inputs, targets),
    epochs=30,
    scheduler=CosineAnnealingLR(optimizer, 30),
    progress=False,
)
print("loss", history["loss"][0], "->", history["loss"][-1])
assert history["loss"][-1] < 0.01

# %%
with ad.no_grad():
    value = model(ad.tensor(series[None, :400, None]))[:, -1:]
    continued = [value.item()]
    for _ in range(150):
        value = model(value, model.state)
        continued.append(value.item())
error = np.abs(np.array(continued) - series[400:551]).max()
print(f"largest error in 150 steps: {error:.2f}")
assert error < 0.5
plt.figure(figsize=(9, 3))
plt.plot(range(300, 551), series[300:551], label="the curve")
plt.plot(range(400, 551), continued, "--", label="continued by the LSTM")
plt.axvline(400, color="gray", lw=0.5)
plt.xlabel("step")
plt.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
plt.show()

# %% [markdown]
# ## Reading digits row by row
#
# 28 steps of 28 pixels. The last state decides.

# %%
images, labels = load_digits()
parts = train_validation_test_split(images, labels, validation=50, test=100)
train, validation, test = (
    (part.tensors[0].squeeze(1).float() / 255, part.tensors[1]) for part in parts
)
ad.manual_seed(0)
reader = LSTMClassifier(28, 10, hidden_size=64)
trainer = Trainer(
    reader,
    "cross_entropy",
    ad.optim.Adam(reader.parameters(), lr=5e-3),
    metrics=["accuracy"],
)
history = trainer.fit(train, validation, epochs=6, progress=False)
history.plot()

# %%
accuracy = trainer.evaluate(test)["accuracy"]
print(f"accuracy {accuracy:.1%}")
assert accuracy > 0.85

# %% [markdown]
# ## Different lengths in one batch
#
# `pack_padded_sequence` keeps padding out of the computation. The state of a short sequence
# is that of its own last step, as if it had been alone.

# %%
batch = test[0][:3]
lengths = [28, 20, 12]
packed = pack_padded_sequence(batch, lengths, batch_first=True)
_, (together, _) = reader.lstm(packed)
for k, length in enumerate(lengths):
    _, (alone, _) = reader.lstm(batch[k : k + 1, :length])
    difference = float((together[0, k] - alone[0, 0]).abs().max())
    print(f"length {length}: largest difference {difference:.1e}")
    assert difference < 1e-5
