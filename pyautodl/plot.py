"""Pictures; matplotlib is imported where one is drawn."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pyautodl.tensor import Tensor

if TYPE_CHECKING:
    from pyautodl.train.history import History

__all__ = ["available", "confusion_matrix", "curves", "image_grid"]

_BLUE, _ORANGE, _GREY = "#1f6fb2", "#d9662b", "#666666"
# figures that stand in the history for other reasons than to be looked at as a curve
_NOT_DRAWN = ("seconds", "lr")


def available() -> bool:
    """Whether matplotlib is installed."""
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
        ValueError: the history is empty.
    """
    names = [
        name
        for name in history.names()
        if not name.startswith(("val_", "train_")) and name not in _NOT_DRAWN
    ]
    if not names:
        raise ValueError("plot: the history is empty")
    figure = _figure(4.6 * len(names), 3.4)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        _draw_curve(panel, history, name)
    return _finish(figure, path)


def _draw_curve(panel: Any, history: History, name: str) -> None:
    known = history.names()
    lines = [(name, "training, while it learns", _BLUE, "-")]
    if f"train_{name}" in known:
        lines.append(
            (f"train_{name}", "training, at the end of the epoch", _BLUE, "--")
        )
    if f"val_{name}" in known:
        lines.append((f"val_{name}", "validation", _ORANGE, "-"))
    for key, label, colour, style in lines:
        values = history[key]
        panel.plot(
            range(1, len(values) + 1),
            values,
            style,
            color=colour,
            label=label,
            marker=".",
        )
    panel.set_xlabel("epoch")
    panel.set_title(name)
    panel.grid(alpha=0.3)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.legend(frameon=False, fontsize=8)


def confusion_matrix(
    counts: Any, classes: Sequence[str], path: Any = None, title: str = ""
) -> Any:
    """Draw how often each class was taken for each other.

    Args:
        counts: shape (c, c), true classes in rows, predicted ones in columns.
        classes: the names of the c classes.
        path: where to write the picture; None for nowhere.
        title: stands above.

    Returns:
        The matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
    """
    values = _ndarray(counts)
    figure = _figure(5.2, 4.8)
    panel = figure.subplots()
    share = values / np.maximum(values.sum(1, keepdims=True), 1)
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
    panel.set_xticks(range(len(classes)), classes)
    panel.set_yticks(range(len(classes)), classes)
    for i, row in enumerate(values):
        for j, count in enumerate(row):
            if count:
                colour = "white" if share[i, j] > 0.5 else "black"
                panel.text(
                    j,
                    i,
                    f"{count:.0f}",
                    ha="center",
                    va="center",
                    color=colour,
                    fontsize=8,
                )
    panel.set_xlabel("predicted")
    panel.set_ylabel("true")
    panel.set_title(title)
    return _finish(figure, path)


def image_grid(
    rows: Sequence[Any],
    path: Any = None,
    *,
    row_titles: Sequence[str] = (),
    titles: Sequence[str] = (),
    title: str = "",
) -> Any:
    """Draw images in rows and columns.

    Args:
        rows: for each row images of shape (n, h, w) or (n, 1, h, w).
        path: where to write the picture; None for nowhere.
        row_titles: stand at the left of the rows.
        titles: stand above the images of the first row, or of all of them where there
            are as many.
        title: stands above all.

    Returns:
        The matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: there are no images.
    """
    images = [_planes(row) for row in rows]
    columns = max((len(row) for row in images), default=0)
    if columns == 0:
        raise ValueError("plot: there are no images to draw")
    figure = _figure(1.05 * columns + 0.9, 1.25 * len(images) + 0.4)
    panels = figure.subplots(len(images), columns, squeeze=False)
    flat_titles = iter(titles)
    for i, row in enumerate(images):
        for j in range(columns):
            panel = panels[i][j]
            panel.set_xticks([])
            panel.set_yticks([])
            if j >= len(row):
                panel.axis("off")
                continue
            panel.imshow(row[j], cmap="gray")
            panel.set_title(next(flat_titles, ""), fontsize=8)
            if j == 0 and i < len(row_titles):
                panel.set_ylabel(row_titles[i], fontsize=8, color=_GREY)
    figure.suptitle(title, fontsize=10)
    return _finish(figure, path)


def _ndarray(values: Any) -> np.ndarray[Any, Any]:
    return np.asarray(values.tolist() if isinstance(values, Tensor) else values)


def _planes(row: Any) -> np.ndarray[Any, Any]:
    images = _ndarray(row)
    return images[:, 0] if images.ndim == 4 else images
