"""What the documents mean: frozen values, without a trace of how they were written or how they travel."""

from weft.model.authorization import (
    AuthorizationPolicy,
    MeshTLSAuthentication,
    NetworkAuthentication,
    ServerAuthorization,
)
from weft.model.meta import Meta, ObjectId, Origin
from weft.model.namespace import Namespace
from weft.model.pod import Pod
from weft.model.profile import ServiceProfile
from weft.model.route import Route
from weft.model.server import Server
from weft.model.service import Service
from weft.model.workload import Workload

Document = (
    Workload
    | Pod
    | Service
    | Namespace
    | Route
    | Server
    | AuthorizationPolicy
    | ServerAuthorization
    | MeshTLSAuthentication
    | NetworkAuthentication
    | ServiceProfile
)
"""Everything that `weft.resources` can make of a file."""

__all__ = [
    "AuthorizationPolicy",
    "Document",
    "MeshTLSAuthentication",
    "Meta",
    "Namespace",
    "NetworkAuthentication",
    "ObjectId",
    "Origin",
    "Pod",
    "Route",
    "Server",
    "ServerAuthorization",
    "Service",
    "ServiceProfile",
    "Workload",
]
