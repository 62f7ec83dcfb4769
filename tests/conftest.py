"""What all tests share: a fixed seed, and nothing left switched over."""

from collections.abc import Iterator

import pytest

import pyautodl as ad
from pyautodl.backends import native


@pytest.fixture(autouse=True)
def _clean_state() -> Iterator[None]:
    """Seed before each test; afterwards the modes must be what they were."""
    ad.manual_seed(0)
    yield
    assert ad.is_grad_enabled(), "the test left grad mode off"
    assert ad.get_default_dtype() is ad.float32, "the test left another default dtype"


@pytest.fixture
def compiled() -> None:
    """Skip where the extension was left out."""
    if not native.available:
        pytest.skip(native.unavailable_reason or "no extension")
