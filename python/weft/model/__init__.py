"""What the documents mean: frozen values, without a trace of how they were written or how they travel."""

from weft.model.meta import Meta, ObjectId, Origin
from weft.model.namespace import Namespace
from weft.model.pod import Pod
from weft.model.route import Route
from weft.model.server import Server
from weft.model.service import Service
from weft.model.workload import Workload

Document = Workload | Pod | Service | Namespace | Route | Server
"""Everything that `weft.resources` can make of a file."""

__all__ = ["Document", "Meta", "Namespace", "ObjectId", "Origin", "Pod", "Route", "Server", "Service", "Workload"]
