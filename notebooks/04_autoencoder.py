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
# # Autoencoders
#
# An autoencoder squeezes its input through a narrow code and rebuilds it. What it can't keep
# it must understand. We train one on digits, pretrain a stacked one level by level, look at the
# codes, and remove noise.

# %%
import matplotlib.pyplot as plt
import numpy as np

import pyautodl as ad
from pyautodl import plot
from pyautodl.data import load_digits, train_validation_test_split
from pyautodl.models import Autoencoder, ConvAutoencoder
from pyautodl.train import Trainer, pretrain_layerwise, psnr

images, labels = load_digits()
parts = train_validation_test_split(images, labels, validation=50, test=100)
train, validation, test = (part.tensors[0].float() / 255 for part in parts)
classes = parts[2].tensors[1]

# %% [markdown]
# ## A dense autoencoder: 784 values through 32

# %%
ad.manual_seed(0)
model = Autoencoder((784, 256, 32))
trainer = Trainer(
    model, "mean_squared_error", ad.optim.Adam(model.parameters(), lr=2e-3)
)
history = trainer.fit(
    (train, train), (validation, validation), epochs=8, progress=False
)
history.plot()

# %%
rebuilt = trainer.predict(test)
plot.image_grid(
    [test[:10], rebuilt[:10]], row_titles=["original", "rebuilt"], limits=(0, 1)
)

# %%
print(f"PSNR {psnr(rebuilt, test):.1f} dB")
assert psnr(rebuilt, test) > 15

# %% [markdown]
# ## Stacked, pretrained level by level
#
# Each level first learns to rebuild the codes of the one before; then all learn together.
# Deep networks were first trained this way.

# %%
ad.manual_seed(0)
stacked = Autoencoder((784, 256, 64, 2))
flat = train.flatten(1)
levels = pretrain_layerwise(stacked.encoder, stacked.levels(), flat, epochs=3)
print([round(level["loss"][-1], 4) for level in levels])
fine = Trainer(
    stacked, "mean_squared_error", ad.optim.Adam(stacked.parameters(), lr=1e-3)
)
tuned = fine.fit((flat, flat), epochs=12, progress=False)
print("fine-tuning:", round(tuned["loss"][0], 4), "->", round(tuned["loss"][-1], 4))
assert tuned["loss"][-1] < tuned["loss"][0]

# %% [markdown]
# Two numbers a digit: the codes can be drawn. Nobody told the network about classes, and yet
# zeros and ones lie apart from the rest, and sevens and nines, which look alike, together. The
# code is what a linear layer gives, without a ReLU, so it uses the whole plane.

# %%
with ad.no_grad():
    codes = stacked.encoder(test.flatten(1)).numpy()
assert (codes.std(0) > 1).all()
assert abs(np.corrcoef(codes.T)[0, 1]) < 0.9
plt.figure(figsize=(5, 4))
plt.scatter(*codes.T, c=classes.numpy(), cmap="tab10", s=8, vmin=-0.5, vmax=9.5)
plt.colorbar(label="digit", ticks=range(10))
plt.xlabel("first number")
plt.ylabel("second number")
plt.title("codes of two numbers")
plt.show()

# %% [markdown]
# ## Removing noise
#
# Trained to rebuild the clean image from a noisy one, a convolutional autoencoder learns what
# digits look like.


# %%
def noisy(x, seed):
    noise = ad.randn(x.shape, generator=ad.Generator().manual_seed(seed))
    return (x + 0.4 * noise).clamp(0, 1)


ad.manual_seed(0)
denoiser = ConvAutoencoder(1, (16, 32))
trainer = Trainer(
    denoiser, "mean_squared_error", ad.optim.Adam(denoiser.parameters(), lr=3e-3)
)
trainer.fit((noisy(train, 1), train), epochs=4, progress=False)
before = noisy(test, 2)
after = trainer.predict(before)
gain = psnr(after, test) - psnr(before, test)
print(f"{psnr(before, test):.1f} dB -> {psnr(after, test):.1f} dB")
assert gain > 2
plot.image_grid(
    [before[:10], after[:10], test[:10]],
    row_titles=["noisy", "denoised", "original"],
    limits=(0, 1),
)

# %% [markdown]
# How narrow is the code of this one? `nn.Sequential` can be cut anywhere:

# %%
print(denoiser.encoder(test[:1]).shape, "of", test[:1].shape)

# %% [markdown]
# 32 x 7 x 7 = 1568 values, twice the 784 pixels: it is not narrow at all, and without noise
# the network could learn to copy. Here the noise keeps it from that, as the clean image is
# not in the input.
