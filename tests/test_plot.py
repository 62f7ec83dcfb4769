"""Pictures: that they show what they are given, at its place."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import plot
from pyautodl.errors import ShapeError
from pyautodl.train import History

pytest.importorskip("matplotlib")


def _lines(panel):
    return {line.get_label(): line.get_xydata().tolist() for line in panel.get_lines()}


def test_a_figure_stands_at_the_epochs_that_have_it():
    history = History([{"loss": 3.0}, {"loss": 2.0}, {"loss": 1.0, "val_loss": 4.0}])
    lines = _lines(plot.curves(history).axes[0])
    assert lines["training, while it learns"] == [[1, 3], [2, 2], [3, 1]]
    assert lines["validation"] == [[3, 4]]


def test_epochs_that_are_not_finite_are_marked_and_leave_room_to_the_others():
    history = History([{"loss": 3.0}, {"loss": math.nan}, {"loss": math.inf}])
    (panel,) = plot.curves(history).axes
    marks = _lines(panel)["training, while it learns: nan or infinite"]
    assert [x for x, _ in marks] == [2, 3]
    assert panel.get_ylim()[1] < 4


def test_one_epoch_has_one_tick():
    (panel,) = plot.curves(History([{"loss": 3.0}])).axes
    low, high = panel.get_xlim()
    assert [tick for tick in panel.get_xticks() if low < tick < high] == [1]


def test_many_figures_stand_in_rows_and_each_has_a_panel():
    names = ["loss", "val_loss", "train_loss", "a", "b", "c", "val_alone"]
    figure = plot.curves(History([dict.fromkeys([*names, "lr", "seconds"], 1.0)]))
    titles = [panel.get_title() for panel in figure.axes if panel.axison]
    assert titles == ["loss", "a", "b", "c", "val_alone"]
    assert figure.get_figwidth() < 15


@pytest.mark.parametrize("classes", [2, 10, 30, 31, 100, 250])
def test_names_and_counts_of_a_confusion_matrix_do_not_overlap(classes):
    counts = np.full((classes, classes), 12345)
    names = [f"class {i}" for i in range(classes)]
    figure = plot.confusion_matrix(counts, names)
    panel = figure.axes[0]
    assert len(panel.texts) == (classes**2 if classes <= 30 else 0)
    figure.draw_without_rendering()
    _apart([text.get_window_extent() for text in panel.texts[:classes]], "x")
    _apart([text.get_window_extent() for text in panel.get_xticklabels()], "x")
    _apart([text.get_window_extent() for text in panel.get_yticklabels()], "y")


def _apart(boxes, axis):
    spans = sorted(
        (box.x0, box.x1) if axis == "x" else (box.y0, box.y1) for box in boxes
    )
    assert all(a[1] <= b[0] + 1 for a, b in itertools.pairwise(spans))


def test_a_confusion_matrix_has_a_row_and_a_column_for_each_class():
    with pytest.raises(ShapeError, match=r"expected counts \(2, 2\) .* got \(3, 3\)"):
        plot.confusion_matrix(np.zeros((3, 3)), ["a", "b"])
    with pytest.raises(ShapeError, match=r"got \(5,\); of labels, .* bincount\(true"):
        plot.confusion_matrix(np.zeros(5), ["a", "b"])


def _colours(figure):
    return [
        np.asarray(panel.get_images()[0].get_array(), np.float64)
        for panel in figure.axes
        if panel.get_images()
    ]


def test_images_of_a_row_are_on_one_scale():
    faint, bright = np.array([[0.0, 0.1]]), np.array([[0.0, 1.0]])
    shown = _colours(plot.image_grid([np.stack([faint, bright])]))
    assert [x[0, 1, 0] for x in shown] == pytest.approx([0.1, 1.0])
    shown = _colours(plot.image_grid([faint[None], bright[None]], limits=(0, 2)))
    assert [x[0, 1, 0] for x in shown] == pytest.approx([0.05, 0.5])


def test_images_of_one_value_are_black_or_white():
    shown = _colours(plot.image_grid([ad.zeros(1, 2, 2), ad.ones(1, 2, 2)]))
    assert [x[0, 0, 0] for x in shown] == [0.0, 1.0]


def test_images_are_drawn_in_their_colours():
    x = ad.rand(2, 3, 4, 5)
    for image, shown in zip(
        x, _colours(plot.image_grid([x], limits=(0, 1))), strict=True
    ):
        assert np.allclose(shown, image.permute(1, 2, 0).numpy())


def test_pixels_that_are_not_finite_stand_out():
    x = np.array([[[0.0, math.nan, math.inf, 1.0]]])
    (shown,) = _colours(plot.image_grid([x]))
    assert shown[0, [0, 3], 0].tolist() == [0.0, 1.0]
    assert (shown[0, 1] == shown[0, 2]).all()
    assert len(set(shown[0, 1])) == 3


@pytest.mark.parametrize("shape", [(5,), (2, 2, 4, 4), (4, 4), (1, 1, 1, 4, 4)])
def test_what_is_no_row_of_images_is_refused(shape):
    with pytest.raises(ShapeError, match="image_grid: expected images"):
        plot.image_grid([np.zeros(shape)])


def test_images_that_are_no_row_are_told_to_be_one():
    with pytest.raises(ShapeError, match=r"got \(4, 5\); likely fix: image_grid\(\[im"):
        plot.image_grid(ad.zeros(3, 4, 5))


def test_what_is_no_history_is_refused():
    with pytest.raises(TypeError, match=r"train\.History, got dict; likely fix:"):
        plot.curves({"loss": [1.0, 0.5]})


def test_titles_of_a_tensor_are_its_numbers():
    figure = plot.image_grid([ad.ones(2, 4, 4)], titles=ad.tensor([6, 4]))
    assert [panel.get_title() for panel in figure.axes] == ["6", "4"]
