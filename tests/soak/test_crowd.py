"""Nine thousand WebSockets at once."""

import pytest
from tests.e2e import crowd
from tests.e2e.applications import Python

pytestmark = pytest.mark.soak


def test_nine_thousand_websockets() -> None:
    """Requirement: 9,000 WebSockets are open at once and every one still answers; memory per connection is bounded."""
    crowd.gathers(Python.find(), 9_000)
