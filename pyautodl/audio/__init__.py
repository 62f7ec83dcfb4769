"""What torchaudio has for learning from sounds: spectra, mel scales, decibels."""

from pyautodl.audio import functional, transforms

__all__ = ["functional", "transforms"]
