"""The mesh file that the demo really starts: `mesh.yaml` with its placeholders filled in. Pure.

Decides what goes into it: which workloads are left out, and whether the mesh is on. Never builds or starts anything.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Document = dict[str, Any]


@dataclass(frozen=True)
class Fill:
    """What stands for `${name}` in a command or an environment value, and what goes into whose environment.

    `values` holds one text for each placeholder. `environment` is merged under the `env` of every workload whose
    command begins with that placeholder: an interpreter that was copied needs to be told where its library is.
    """

    values: Mapping[str, str]
    environment: Mapping[str, Mapping[str, str]]


def effective(
    text: str, fill: Fill, left_out: Collection[str] = (), meshed: bool = True, publish: Mapping[str, str] | None = None
) -> str:
    """The file to start, as YAML text.

    `left_out` names workloads that cannot run here; they go, and the routes to them. With `meshed` false every
    workload carries `linkerd.io/inject: disabled` and nothing else differs. `publish` says at which address of the host
    (`127.0.0.1:9000`) the first port of a workload can be reached.
    """
    documents = [d for d in yaml.safe_load_all(text) if not _concerns(d, left_out)]
    for document in documents:
        if document["kind"] == "Workload":
            _complete(document, fill)
            if "dependsOn" in document["spec"]:
                document["spec"]["dependsOn"] = [n for n in document["spec"]["dependsOn"] if n not in left_out]
            if not meshed:
                document["metadata"].setdefault("annotations", {})["linkerd.io/inject"] = "disabled"
            listen = (publish or {}).get(document["metadata"]["name"])
            if listen is not None:
                document["spec"]["publish"] = [{"port": document["spec"]["ports"][0]["port"], "listen": listen}]
    written: str = yaml.safe_dump_all(documents, sort_keys=False, width=120)
    return written


def workloads(text: str) -> dict[str, int]:
    """The workloads of a mesh file with their number of replicas, in the file's order."""
    return {
        d["metadata"]["name"]: d["spec"].get("replicas", 1) for d in yaml.safe_load_all(text) if d["kind"] == "Workload"
    }


def _concerns(document: Document, left_out: Collection[str]) -> bool:
    if document["kind"] == "Workload":
        return document["metadata"]["name"] in left_out
    return any(parent["name"] in left_out for parent in document["spec"].get("parentRefs", ()))


def _complete(workload: Document, fill: Fill) -> None:
    spec = workload["spec"]
    interpreter = spec["command"][0].removeprefix("${").removesuffix("}")
    env = {**fill.environment.get(interpreter, {}), **spec.get("env", {})}
    spec["workingDir"] = fill.values["shop"]
    spec["command"] = [_filled(word, fill) for word in spec["command"]]
    if env:
        spec["env"] = {name: _filled(value, fill) for name, value in env.items()}


def _filled(text: str, fill: Fill) -> str:
    for name, value in fill.values.items():
        text = text.replace("${" + name + "}", value)
    return text
