"""What users write: YAML or JSON documents in, typed values or Problems with file, line, reason and hint out.

    loaded = load_files(["mesh.yaml", "services/"])      # files and directories; or load_text(text, "name.yaml")
    for problem in loaded.problems: print(problem)       # FILE:LINE:COLUMN: reason / hint: ...; sorted, all at once
    for document in loaded.documents:                    # weft.model: Workload, Pod, Service, Route ...
        document.meta.id                                 # ObjectId(group, kind, namespace, name)
        document.meta.origin                             # Origin(file, line); str() is "FILE:LINE"

A document with a problem is not among `documents`, the others are; whoever applies them decides what a problem stops.
The values are in `weft.model` (`weft.model.workload` for mesh files). Nothing here knows sockets or protobuf.
"""

from weft.resources.again import Rereading
from weft.resources.load import (
    Loaded,
    Read,
    duplicate,
    files_in,
    is_document_file,
    join,
    load_file,
    load_files,
    load_text,
    read_files,
    read_text,
)

__all__ = [
    "Loaded",
    "Read",
    "Rereading",
    "duplicate",
    "files_in",
    "is_document_file",
    "join",
    "load_file",
    "load_files",
    "load_text",
    "read_files",
    "read_text",
]
