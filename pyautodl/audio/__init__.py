"""What torchaudio has for learning from sounds: files, spectra, mel scales, decibels."""

from pyautodl.audio import functional, transforms
from pyautodl.audio.files import load, save

__all__ = ["functional", "load", "save", "transforms"]
