"""The mesh while its control plane is down for a minute."""

import pytest
from tests.e2e.applications import Python
from tests.e2e.test_mesh_outage import survives

pytestmark = pytest.mark.soak


def test_no_request_fails_in_a_minute_without_control_plane() -> None:
    """Requirement: 60 s under load, the control plane killed again at each restart, and no request fails."""
    survives(Python.find(), 60.0)
