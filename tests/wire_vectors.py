"""Messages of every kind in the wire contract, with every field set: what both languages must read alike.

`python -m tests.wire_vectors` writes one file per package into `tests/vectors/wire/`. A file is a sequence of records:
length (32 bits, big-endian) and name of the message kind, length and bytes of the message. A kind with a `oneof` has a
record for each member. The values depend on the field alone, so the files change only when the contract does.
"""

from __future__ import annotations

import importlib
import pkgutil
import struct
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import Message

import weft.gen

DIRECTORY = Path(__file__).parent / "vectors" / "wire"


def packages() -> dict[str, bytes]:
    """Return the content of each vector file by file name."""
    files = {}
    for file in _files():
        records = [
            part
            for kind in _kinds(file.message_types_by_name.values())
            for variant in range(_variants(kind))
            for part in (kind.full_name.encode(), _filled(kind, variant).SerializeToString(deterministic=True))
        ]
        files[f"{file.package}.bin"] = b"".join(struct.pack(">I", len(part)) + part for part in records)
    return files


def _files() -> Iterator[FileDescriptor]:
    for module in pkgutil.iter_modules(weft.gen.__path__):
        if module.name.endswith("_pb2"):
            yield importlib.import_module(f"weft.gen.{module.name}").DESCRIPTOR


def _kinds(kinds: object) -> Iterator[Descriptor]:
    """Yield message kinds and those nested in them; map entries are not kinds of their own."""
    for kind in kinds:  # type: ignore[attr-defined]
        if not kind.GetOptions().map_entry:
            yield kind
            yield from _kinds(kind.nested_types)


def _variants(kind: Descriptor) -> int:
    return max([1, *(len(oneof.fields) for oneof in kind.oneofs)])


def _filled(kind: Descriptor, variant: int, above: tuple[str, ...] = ()) -> Message:
    """Return a message with every field set, and the member `variant` of each `oneof`."""
    message = message_factory.GetMessageClass(kind)()
    inside = (*above, kind.full_name)
    for field in kind.fields:
        oneof = field.containing_oneof
        if oneof and oneof.fields[variant % len(oneof.fields)] is not field:
            continue
        if field.message_type and inside.count(field.message_type.full_name) > 1:
            continue  # A kind that contains itself ends here.
        _fill(message, field, variant, inside)
    return message


def _fill(message: Message, field: FieldDescriptor, variant: int, inside: tuple[str, ...]) -> None:
    name = field.name
    if field.message_type and field.message_type.GetOptions().map_entry:
        getattr(message, name)[f"{name} key"] = f"{name} value"
    elif field.message_type and field.is_repeated:
        # Two at the top, so that order shows; one below, so that files stay small.
        for n in range(2 if len(inside) == 1 else 1):
            getattr(message, name).append(_filled(field.message_type, variant + n, inside))
    elif field.message_type:
        getattr(message, name).CopyFrom(_filled(field.message_type, variant, inside))
    elif field.is_repeated:
        getattr(message, name).extend([_scalar(field, 0), _scalar(field, 1)])
    else:
        setattr(message, name, _scalar(field, 0))


def _scalar(field: FieldDescriptor, n: int) -> object:
    """Return a value that is not the default and differs between neighbouring fields."""
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return bytes([0, 255, field.number, n])  # Not UTF-8.
        case FieldDescriptor.CPPTYPE_STRING:
            return f"{field.name} {n} \u00e4"
        case FieldDescriptor.CPPTYPE_BOOL:
            return True
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return field.number + n + 0.25
        case FieldDescriptor.CPPTYPE_ENUM:
            return field.enum_type.values[-1 - n].number
        case FieldDescriptor.CPPTYPE_UINT32:
            return 2**32 - 1 - field.number - n
        case FieldDescriptor.CPPTYPE_UINT64:
            return 2**64 - 1 - field.number - n
        case _:  # Signed numbers; nanoseconds must stay below a second.
            return 1000 * field.number + n


if __name__ == "__main__":
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for old in DIRECTORY.glob("*.bin"):
        old.unlink()
    for file_name, content in packages().items():
        (DIRECTORY / file_name).write_bytes(content)
