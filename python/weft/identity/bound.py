"""Whether a token's workload is there. A token outlives its workload; it must not be of use to whoever kept a copy."""

from weft.identity.tokens import Bearer
from weft.model import Pod
from weft.model.snapshot import Snapshot, pod_key


def refusal(mesh: Snapshot, bearer: Bearer) -> str:
    """Why the mesh knows no such workload; empty when it does. Only this answer may change as the mesh does."""
    if not bearer.pod:
        return "the token is bound to no workload"
    name = f"{bearer.namespace}/{bearer.pod}"
    pod = next((each for each in mesh.found(pod_key(bearer.namespace, bearer.pod)) if isinstance(each, Pod)), None)
    if pod is None:
        return f"the token's workload {name} does not exist"
    if pod.meta.uid and pod.meta.uid != bearer.pod_uid:
        return f"the token is of an earlier or other workload {name}"
    if pod.service_account != bearer.service_account:
        return f"the token's workload {name} runs as {pod.service_account}, not {bearer.service_account}"
    return ""
