"""Pictures; matplotlib is imported where one is drawn."""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pyautodl.errors import ShapeError
from pyautodl.tensor import Tensor

if TYPE_CHECKING:
    from pyautodl.train.history import History

__all__ = ["available", "confusion_matrix", "curves", "image_grid"]

_BLUE, _ORANGE, _GREY = "#1f6fb2", "#d9662b", "#666666"
# orange, too
_NOT_FINITE = (0.85, 0.4, 0.17)
# figures that stand in the history for other reasons than to be looked at as a curve
_NOT_DRAWN = ("seconds", "lr")
# panels of curves in a row
_COLUMNS = 3
# classes at most whose counts stand in their cells, and whose names all stand at the axes
_COUNTED, _NAMED = 30, 100


def available() -> bool:
    """Whether matplotlib is installed.

    Example:
        >>> import pyautodl as ad
        >>> ad.plot.available()
        True
    """
    return importlib.util.find_spec("matplotlib") is not None


def _figure(width: float, height: float) -> Any:
    """A figure that needs no screen."""
    if not available():
        raise ImportError(
            "plot: matplotlib is not installed; pip install 'pyautodl[plot]'"
        )
    return _picture_class()(figsize=(width, height), dpi=110, layout="constrained")


@lru_cache(maxsize=1)
def _picture_class() -> Any:
    """A figure that notebooks show by itself, without pyplot and its state."""
    from matplotlib.figure import Figure

    class Picture(Figure):
        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

    return Picture


def _finish(figure: Any, path: Any) -> Any:
    if path is not None:
        figure.savefig(path)
    return figure


def curves(history: History, path: Any = None) -> Any:
    """Draw training against validation over the epochs, a panel for each figure.

    Args:
        history: what a training has measured.
        path: where to write the picture; None for nowhere.

    Returns:
        The matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: history is no `History`.
        ValueError: the history is empty.

    Example:
        >>> import pyautodl as ad
        >>> history = ad.train.History()
        >>> history.append({"loss": 1.0}), history.append({"loss": 0.5})
        (None, None)
        >>> figure = ad.plot.curves(history)
    """
    if not hasattr(history, "names"):
        raise TypeError(
            f"plot: expected a train.History, got {type(history).__name__}; likely fix: "
            "what Trainer.fit returns, or in a loop of your own history = train.History() "
            "and after each epoch history.append({'loss': ...})"
        )
    names = [name for name in history.names() if _has_panel(name, history)]
    if not names:
        raise ValueError("plot: the history is empty")
    columns = min(len(names), _COLUMNS)
    rows = math.ceil(len(names) / columns)
    figure = _figure(4.6 * columns, 3.4 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        _draw_curves(panel, history, name)
    for panel in panels[len(names) :]:
        panel.axis("off")
    return _finish(figure, path)


def _has_panel(name: str, history: History) -> bool:
    """Whether it is no second line in the panel of another."""
    other = name.removeprefix("val_").removeprefix("train_")
    return name not in _NOT_DRAWN and (other == name or other not in history)


def _draw_curves(panel: Any, history: History, name: str) -> None:
    lines = [
        (name, "training, while it learns", _BLUE, "-"),
        (f"train_{name}", "training, at the end of the epoch", _BLUE, "--"),
        (f"val_{name}", "validation", _ORANGE, "-"),
    ]
    if name.startswith("val_"):
        lines = [(name, "validation", _ORANGE, "-")]
    for key, label, colour, style in lines:
        if key in history:
            _draw_curve(panel, history, key, label, colour, style)
    panel.set_xlabel("epoch")
    panel.set_title(name)
    panel.grid(alpha=0.3)
    panel.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    panel.legend(frameon=False, fontsize=8)


def _draw_curve(
    panel: Any, history: History, key: str, label: str, colour: str, style: str
) -> None:
    """One line, at the epochs that have the figure; crosses below where it is not finite."""
    points = [
        (number, epoch[key])
        for number, epoch in enumerate(history.epochs, 1)
        if key in epoch
    ]
    # an infinite value would leave no room to the others
    values = [v if math.isfinite(v) else math.nan for _, v in points]
    panel.plot(
        [number for number, _ in points],
        values,
        style,
        color=colour,
        label=label,
        marker=".",
    )
    if lost := [number for number, value in points if not math.isfinite(value)]:
        panel.plot(
            lost,
            [0.03] * len(lost),
            "x",
            color=colour,
            label=f"{label}: nan or infinite",
            transform=panel.get_xaxis_transform(),
        )


def confusion_matrix(
    counts: Any, classes: Sequence[str], path: Any = None, title: str = ""
) -> Any:
    """Draw how often each class was taken for each other.

    Args:
        counts: shape (c, c), true classes in rows, predicted ones in columns; they stand
            in their cells where there are at most 30 classes.
        classes: the names of the c classes.
        path: where to write the picture; None for nowhere.
        title: stands above.

    Returns:
        The matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        ShapeError: there are not as many rows and columns as classes.

    Example:
        >>> import pyautodl as ad
        >>> figure = ad.plot.confusion_matrix([[5, 1], [0, 6]], classes=["cat", "dog"])
    """
    values = _ndarray(counts)
    if values.shape != (len(classes), len(classes)):
        raise ShapeError(
            f"confusion_matrix: expected counts ({len(classes)}, {len(classes)}) for "
            f"{len(classes)} classes, got {values.shape}; of labels, whole numbers below "
            "c, they are bincount(true * c + predicted, minlength=c * c).reshape(c, c)"
        )
    width = min(max(4.8, 0.36 * len(classes)), 12.0)
    figure = _figure(width + 0.9, width)
    panel = figure.subplots()
    share = values / np.maximum(values.sum(1, keepdims=True), 1)
    shades = panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shades, label="share of the true class", shrink=0.8)
    _name_classes(panel, classes)
    if len(classes) <= _COUNTED:
        _write_counts(panel, values, share, 72 * 0.7 * width / len(classes))
    panel.set_xlabel("predicted")
    panel.set_ylabel("true")
    panel.set_title(title, wrap=True)
    return _finish(figure, path)


def _name_classes(panel: Any, classes: Sequence[str]) -> None:
    step = math.ceil(len(classes) / _NAMED)
    places, names = (
        range(0, len(classes), step),
        [str(name) for name in classes[::step]],
    )
    size = 10 if len(names) <= 15 else 8 if len(names) <= 40 else 5
    upright = len(names) * max(map(len, names), default=0) > 40
    panel.set_xticks(places, names, fontsize=size, rotation=90 if upright else 0)
    panel.set_yticks(places, names, fontsize=size)


def _write_counts(
    panel: Any, values: np.ndarray[Any, Any], share: np.ndarray[Any, Any], cell: float
) -> None:
    """The counts above 0, in letters that fit into cells of so many points."""
    digits = len(f"{values.max(initial=0):.0f}")
    size = min(8.0, cell / (0.7 * digits))
    for i, j in np.argwhere(values).tolist():
        panel.text(
            j,
            i,
            f"{values[i, j]:.0f}",
            ha="center",
            va="center",
            color="white" if share[i, j] > 0.5 else "black",
            fontsize=size,
        )


def image_grid(
    rows: Sequence[Any],
    path: Any = None,
    *,
    row_titles: Sequence[str] = (),
    titles: Sequence[str] = (),
    title: str = "",
    limits: tuple[float, float] | None = None,
) -> Any:
    """Draw images in rows and columns, grey ones or in colours.

    Args:
        rows: for each row images of shape (n, h, w), (n, 1, h, w) or, red, green and
            blue, (n, 3, h, w).
        path: where to write the picture; None for nowhere.
        row_titles: stand at the left of the rows.
        titles: stand above the images of the first row, or of all of them where there
            are as many.
        title: stands above all.
        limits: the values that are black and white, (0, 1) for most images; None takes
            the smallest and the largest of each row, so that images of a row can be
            compared. What is not finite is orange.

    Returns:
        The matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        ShapeError: a row has another shape.
        ValueError: there are no images.

    Example:
        >>> import pyautodl as ad
        >>> figure = ad.plot.image_grid([ad.rand(8, 1, 28, 28)])
    """
    images = [_shades(_planes(row), limits) for row in rows]
    columns = max((len(row) for row in images), default=0)
    if columns == 0:
        raise ValueError("plot: there are no images to draw")
    figure = _figure(1.05 * columns + 0.9, 1.25 * len(images) + 0.4)
    panels = figure.subplots(len(images), columns, squeeze=False)
    flat_titles = iter(titles.tolist() if isinstance(titles, Tensor) else titles)
    for i, row in enumerate(images):
        for j in range(columns):
            panel = panels[i][j]
            panel.set_xticks([])
            panel.set_yticks([])
            if j >= len(row):
                panel.axis("off")
                continue
            panel.imshow(row[j])
            panel.set_title(next(flat_titles, ""), fontsize=8)
            if j == 0 and i < len(row_titles):
                panel.set_ylabel(row_titles[i], fontsize=8, color=_GREY)
    figure.suptitle(title, fontsize=10)
    return _finish(figure, path)


def _ndarray(values: Any) -> np.ndarray[Any, Any]:
    return np.asarray(values.tolist() if isinstance(values, Tensor) else values)


def _planes(row: Any) -> np.ndarray[Any, Any]:
    """Images (n, h, w, 3) of any that may be drawn."""
    images = _ndarray(row)
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        fix = "; likely fix: image_grid([images])" if images.ndim == 2 else ""
        raise ShapeError(
            "image_grid: expected images (n, h, w), (n, 1, h, w) or (n, 3, h, w) for each "
            f"row, got {_ndarray(row).shape}{fix}"
        )
    shape = (len(images), 3, *images.shape[2:])
    return np.moveaxis(np.broadcast_to(images, shape), 1, -1).astype(np.float64)


def _shades(
    images: np.ndarray[Any, Any], limits: tuple[float, float] | None
) -> np.ndarray[Any, Any]:
    """Their colours from 0 to 1, between the limits."""
    finite = np.isfinite(images)
    if limits is None:
        known = images[finite]
        limits = (known.min(initial=np.inf), known.max(initial=-np.inf))
        if not limits[0] < limits[1]:
            # one value alone: 0 is black, 1 is white
            limits = (min(limits[0], 0.0), max(limits[1], 1.0))
    low, high = limits
    colours = np.clip((np.where(finite, images, low) - low) / (high - low), 0, 1)
    colours[~finite.all(-1)] = _NOT_FINITE
    return colours
