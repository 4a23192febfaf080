"""Status as commands show it."""

from tests.meshes import WEB, snapshot

from weft.local.checks import Outcome
from weft.local.status import findings

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{group: '', kind: Service, name: web}, {group: '', kind: Service, name: other}]
  rules: [{backendRefs: [{name: gone, port: 80}]}]
"""


def test_what_is_not_obeyed_is_a_warning_each() -> None:
    """Requirement: the document, the word of the condition, and what is in the way; nothing wrong is one line."""
    assert [each.outcome for each in findings(snapshot(WEB))] == [Outcome.OK]
    found = findings(snapshot(WEB, ROUTE))
    assert {each.outcome for each in found} == {Outcome.WARNING}
    gone = "HTTPRoute/default/r: BackendNotFound, Service not found gone (spec.rules[0].backendRefs[0])"
    other = "HTTPRoute/default/r: NoMatchingParent, Service other does not exist in default"
    assert [each.detail for each in found] == [gone, other]
