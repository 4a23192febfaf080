"""The environment of one replica's proxy, in Linkerd's variable names. Pure."""

import json

from weft.local.addresses import CONTROL_PLANE
from weft.local.objects import NODE
from weft.local.plan import CONTROL_NAME, CONTROL_NAMESPACE, TRUST_DOMAIN, Replica
from weft.local.rules import ADMIN_PORT, INBOUND_PORT, OUTBOUND_PORT, PROXY_MARK

IDENTITY_PORT = 8080
DESTINATION_PORT = 8086
POLICY_PORT = 8090
CONTROL_PLANE_ADMIN_PORT = 9990


def environment(replica: Replica, token_file: str, anchors_file: str) -> dict[str, str]:
    """All variables; the control plane's own proxy reaches it on loopback, the others by its address and identity."""
    own = (replica.namespace, replica.workload) == (CONTROL_NAMESPACE, CONTROL_NAME)
    host = "127.0.0.1" if own else CONTROL_PLANE
    control_identity = f"{CONTROL_NAME}.{CONTROL_NAMESPACE}.serviceaccount.identity.{CONTROL_NAMESPACE}.{TRUST_DOMAIN}"
    ports = [port.port for port in replica.ports]
    if own:
        ports = [IDENTITY_PORT, DESTINATION_PORT, POLICY_PORT, CONTROL_PLANE_ADMIN_PORT]
    workload = {"ns": replica.namespace, "pod": replica.name}
    everywhere = "[::]" if replica.address6 else "0.0.0.0"
    loopback = [f"127.0.0.1:{OUTBOUND_PORT}", *([f"[::1]:{OUTBOUND_PORT}"] if replica.address6 else [])]
    settings = {
        "INBOUND_LISTEN_ADDR": f"{everywhere}:{INBOUND_PORT}",
        "OUTBOUND_LISTEN_ADDR": loopback[0],
        "OUTBOUND_LISTEN_ADDRS": ",".join(loopback),
        "ADMIN_LISTEN_ADDR": f"{everywhere}:{ADMIN_PORT}",
        "IDENTITY_SVC_ADDR": f"{host}:{IDENTITY_PORT}",
        "DESTINATION_SVC_ADDR": f"{host}:{DESTINATION_PORT}",
        "POLICY_SVC_ADDR": f"{host}:{POLICY_PORT}",
        "IDENTITY_SVC_NAME": control_identity,
        "DESTINATION_SVC_NAME": control_identity,
        "POLICY_SVC_NAME": control_identity,
        "POLICY_WORKLOAD": json.dumps(workload, separators=(",", ":")),
        "DESTINATION_CONTEXT": json.dumps({**workload, "nodeName": NODE}, separators=(",", ":")),
        "IDENTITY_LOCAL_NAME": replica.identity,
        "IDENTITY_TOKEN_FILE": token_file,
        "INBOUND_IPS": ",".join(filter(None, (replica.address, replica.address6))),
        "INBOUND_PORTS": ",".join(str(port) for port in ports),
        "INBOUND_DEFAULT_POLICY": "all-unauthenticated",
        "CORES": "1",
        "LOG": "info",
        "LOG_FORMAT": "plain",
        "SHUTDOWN_GRACE_PERIOD": "4s",
    }
    return {
        **{f"LINKERD2_PROXY_{name}": value for name, value in settings.items()},
        "WEFT_PROXY_IDENTITY_TRUST_ANCHORS_FILE": anchors_file,
        "WEFT_PROXY_MARK": str(PROXY_MARK),
        **dict(replica.proxy_settings),
    }
