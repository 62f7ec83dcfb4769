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
    """What needs the compiled kernels asks for this: it is skipped where they were left out."""
    if not native.available:
        pytest.skip(native.unavailable_reason or "no extension")


@pytest.fixture(params=["reference", *(["native"] if native.available else [])])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """What has a meaning of its own on each backend asks for this, and runs on both."""
    with ad.use_backend(request.param):
        yield request.param
