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
# # A convolutional network reads digits
#
# 5,000 handwritten digits of MNIST come with the library. We split them, normalise them,
# train a small convolutional network and look at what it gets wrong.

# %%
import pyautodl as ad
from pyautodl import inspect, nn, plot
from pyautodl.data import (
    Compose,
    Normalizer,
    RandomRotation,
    RandomShift,
    load_digits,
    train_validation_test_split,
)
from pyautodl.train import EarlyStopping, Trainer

images, labels = load_digits()
print(images.shape, images.dtype)
plot.image_grid([images[[i * 500 + j for i in range(10)]] for j in range(3)])

# %% [markdown]
# ## Three parts
#
# The network learns from the training part. We watch the validation part to choose when to
# stop, and look at the test part once, at the end. The split is shuffled and stratified: each
# class has its share in every part. Mean and standard deviation come from the training part
# alone; anything else would let the network peek.

# %%
ad.manual_seed(0)
train, validation, test = train_validation_test_split(
    images, labels, validation=50, test=100, seed=0
)
normalizer = Normalizer().fit(train.tensors[0])
parts = [
    (normalizer(part.tensors[0]), part.tensors[1]) for part in (train, validation, test)
]
print([len(x) for x, _ in parts], "mean", round(normalizer.mean.item(), 1))

# %% [markdown]
# ## More digits from the same ones
#
# A digit that is turned and shifted a little is still that digit, yet other numbers to the
# network. We let it see each digit a little different in every epoch. How different depends on
# the seed, the epoch and the sample's number alone, so that it can be repeated.

# %%
background = normalizer(ad.zeros(1)).item()
augment = Compose(
    [RandomRotation(10, "bilinear", fill=background), RandomShift(2, background)]
)
some, numbers = parts[0][0][:10], ad.arange(10)
plot.image_grid(
    [some, *(augment(some, samples=numbers, epoch=i, seed=0) for i in range(2))],
    row_titles=["digit", "epoch 0", "epoch 1"],
)

# %% [markdown]
# ## The network
#
# A convolution looks for small patterns everywhere, pooling keeps the strongest answer of
# each 2x2 window, and linear layers decide.

# %%
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding="same"),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding="same"),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 7 * 7, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
print(inspect.summary(model, (1, 1, 28, 28)))

# %% [markdown]
# ## Training
#
# `cross_entropy` takes the scores as they are and the class numbers. Early stopping keeps the
# weights of the best epoch.

# %%
trainer = Trainer(
    model,
    "cross_entropy",
    ad.optim.Adam(model.parameters(), lr=2e-3),
    metrics=["accuracy"],
    callbacks=[EarlyStopping("val_accuracy", patience=3)],
    seed=0,
)
history = trainer.fit(parts[0], parts[1], epochs=6, transform=augment, progress=False)
history.plot()

# %% [markdown]
# The training figures are averages over an epoch in which the network still learns, and of
# augmented images, so validation may look better than training in the first epochs. What does
# the library say to the curves?

# %%
print(history.verdict())

# %%
figures = trainer.evaluate(parts[2])
print(figures)
assert figures["accuracy"] > 0.95

# %% [markdown]
# ## Looking into it
#
# What did it take for what? And which digits does it get wrong?

# %%
scores = trainer.predict(parts[2][0])
found, truth = scores.argmax(1), parts[2][1]
counts = [[0] * 10 for _ in range(10)]
for a, b in zip(truth.tolist(), found.tolist()):
    counts[a][b] += 1
plot.confusion_matrix(counts, [str(i) for i in range(10)])

# %%
wrong = (found != truth).nonzero().reshape(-1).tolist()[:10]
plot.image_grid(
    [test.tensors[0][wrong or [0]]],
    titles=[f"{truth[i].item()} read as {found[i].item()}" for i in wrong],
)

# %% [markdown]
# Where did it look? The saliency of a pixel is how much the score of the class that was found
# changes with it; integrated gradients share the score out over the pixels. Square roots
# let small numbers be seen.

# %%
shown = parts[2][0][wrong or [0]]
page = normalizer(ad.zeros(1, 1, 28, 28))
plot.image_grid(
    [
        shown,
        inspect.saliency(model, shown).sqrt(),
        inspect.integrated_gradients(model, shown, baseline=page).relu().sqrt(),
    ],
    row_titles=["digit", "saliency", "integrated"],
)

# %% [markdown]
# The first layer's filters: small patterns of light and dark.

# %%
filters = model[0].weight.detach()
most = filters.abs().max().item()
plot.image_grid(
    [filters[:8], filters[8:]],
    title=f"filters of the first layer, black -{most:.2f}, white {most:.2f}",
    limits=(-most, most),
)

# %% [markdown]
# ## The same seed, the same bits
#
# Training again with the same seed gives the same weights, on one thread or on many.

# %%


def first_losses(threads):
    before = ad.get_num_threads()
    ad.set_num_threads(threads)
    ad.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 26 * 26, 10)
    )
    optimizer = ad.optim.SGD(net.parameters(), lr=0.05)
    losses = []
    for i in range(3):
        x, y = parts[0][0][i * 64 : i * 64 + 64], parts[0][1][i * 64 : i * 64 + 64]
        loss = nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    ad.set_num_threads(before)
    return losses


print(first_losses(1))
print(first_losses(2))
assert first_losses(1) == first_losses(2)
