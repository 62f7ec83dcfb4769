"""The commands: what they write, print and return."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pyautodl as ad
from pyautodl import plot
from pyautodl.cli import demo, main
from pyautodl.cli.predict import prepare
from pyautodl.data import load_digits
from pyautodl.train import Trainer


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _written(shown: str) -> tuple[set[str], str]:
    """The files and the folder that a demo names."""
    line = next(each for each in shown.splitlines() if "written: " in each)
    names, where = line.split("written: ")[1].rsplit(" in ", 1)
    return set(names.split(", ")), where


@pytest.fixture
def few_digits(monkeypatch):
    images, labels = load_digits()
    monkeypatch.setattr(demo, "load_digits", lambda: (images[::5], labels[::5]))
    monkeypatch.setattr(demo, "VALIDATION", 10)
    monkeypatch.setattr(demo, "TEST", 20)


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("name", sorted(demo.RECIPES))
def test_each_demo_has_its_folder_and_lists_its_own_files(name, folder, capsys):
    where = demo.default_folder(name)
    where.mkdir()
    (where / "notes.txt").touch()
    assert main(["demo", name, "--epochs", "1", "--quiet"]) == 0
    out = capsys.readouterr().out
    names, shown = _written(out)
    assert shown == str(where)
    assert "notes.txt" not in names
    assert names == {each.name for each in where.iterdir()} - {"notes.txt"}
    assert json.loads((where / "report.json").read_text())["seed"] == 0
    assert [each.name for each in folder.iterdir()] == [where.name]
    if plot.available():
        _predicts(name, where, out, capsys)


def test_noise_of_the_demo_is_that_of_the_image_in_every_batch():
    x = ad.rand(6, 1, 8, 8)
    draws = {"epoch": 3, "seed": 5}
    noisy, clean = demo.add_noise((x, x), samples=ad.arange(6), **draws)
    assert clean is x
    assert not (noisy == x).all()
    part, _ = demo.add_noise((x[2:4], x[2:4]), samples=ad.arange(2, 4), **draws)
    assert part.equal(noisy[2:4])


def _predicts(name, where, shown, capsys):
    """Its digit is read by its own network; that of the autoencoder reads none."""
    if name != "autoencoder":
        assert main(shown.split("try: pyautodl ")[1].split()) == 0
        assert "(as it is)" in capsys.readouterr().out
    else:
        assert main(["predict", str(where / "model.safetensors"), "x.png"]) == 1
        assert "a ConvAutoencoder, which is no classifier" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["/proc", "a_file", "a_file/below"])
def test_a_demo_does_not_train_for_a_folder_that_it_cannot_write_to(
    where, folder, capsys, monkeypatch
):
    monkeypatch.setattr(Trainer, "fit", None)
    (folder / "a_file").touch()
    assert main(["demo", "--out", where]) == 1
    assert f"can't write into the folder {where!r}" in capsys.readouterr().err


def test_no_two_demos_share_a_folder():
    folders = [demo.default_folder(name) for name in demo.RECIPES]
    assert len(set(folders)) == len(folders)
    assert str(demo.default_folder("cnn")) == "pyautodl-demo"


def test_a_stopped_demo_says_what_is_there(folder, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", interrupted)
    assert main(["demo", "--quiet"]) == 130
    assert _written(capsys.readouterr().out) == ({"nothing"}, "pyautodl-demo")


def test_a_stopped_command_shows_no_traceback(capsys, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "pyautodl: stopped\n"


def _like(found, wanted):
    return np.corrcoef(found.ravel(), np.asarray(wanted, np.float32).ravel())[0, 1]


@pytest.mark.parametrize("number", [10, 700, 1200, 2600, 4400])
def test_a_digit_is_read_wherever_and_however_large_it_is_written(number, tmp_path):
    image = pytest.importorskip("PIL.Image")
    digit = load_digits()[0][number, 0].numpy()
    paper = np.full((500, 640), 230, np.uint8)
    large = image.fromarray(digit).resize((168, 168), image.Resampling.BICUBIC)
    paper[300:468, 20:188] -= (np.asarray(large) * 0.8).astype(np.uint8)
    path = tmp_path / "photo.png"
    image.fromarray(paper).save(path)
    pixels, done = prepare(path)
    assert pixels.shape == (28, 28)
    assert _like(pixels, digit) > 0.8
    assert done == [
        "inverted, as it was dark on light",
        "cut out of 640x500 and centred",
    ]


def test_images_of_16_bits_are_not_cut_off(tmp_path):
    image = pytest.importorskip("PIL.Image")
    digit = load_digits()[0][700, 0].numpy()
    path = tmp_path / "deep.png"
    image.fromarray(digit.astype(np.uint16) * 257).save(path)
    assert np.array_equal(prepare(path)[0], digit)


def test_an_empty_page_is_told(tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "page.png"
    image.new("L", (40, 30), 250).save(path)
    with pytest.raises(ValueError, match=r"page\.png.*nothing to read"):
        prepare(path)
