"""What a shape takes at a path, in a user's words: fields, allowed words, ranges. Reads msgspec's types only."""

from functools import cache

import msgspec
from msgspec import inspect

from weft.resources.tree import Path


def fields_at(written: type[msgspec.Struct], path: Path) -> tuple[str, ...]:
    """The names of the fields at `path`, as users write them; none where it is no mapping of fields."""
    names: dict[str, None] = {}
    for found in _at(_shape(written), path):
        if isinstance(found, inspect.StructType):
            names.update(dict.fromkeys(field.encode_name for field in found.fields))
    return tuple(names)


def places_of(written: type[msgspec.Struct], name: str) -> tuple[str, ...]:
    """Where in the shape there is a field of this name: `spec`, `spec.ports[]`; `(top)` is the document itself."""
    return tuple(sorted({where or "the document itself" for where in _places(_shape(written), name, "", ())}))


def expected_at(written: type[msgspec.Struct], path: Path) -> str:
    """What the value at `path` may be; empty when nothing short can be said."""
    said = [_said(found) for found in _at(_shape(written), path)]
    return " or ".join(dict.fromkeys(filter(None, said)))


@cache
def _shape(written: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(written)


def _at(shape: inspect.Type, path: Path) -> list[inspect.Type]:
    found = _alternatives(shape)
    for step in path:
        found = [deeper for each in found for inner in _inside(each, step) for deeper in _alternatives(inner)]
    return found


def _alternatives(shape: inspect.Type) -> list[inspect.Type]:
    if isinstance(shape, inspect.Metadata):
        return _alternatives(shape.type)
    if isinstance(shape, inspect.UnionType):
        return [each for kind in shape.types for each in _alternatives(kind)]
    return [shape]


def _inside(shape: inspect.Type, step: str | int) -> list[inspect.Type]:
    if isinstance(shape, inspect.StructType):
        return [field.type for field in shape.fields if field.encode_name == step]
    if isinstance(shape, (inspect.VarTupleType, inspect.ListType)):
        return [shape.item_type]
    if isinstance(shape, inspect.DictType):
        return [shape.value_type]
    return []


def _places(shape: inspect.Type, name: str, where: str, around: tuple[type, ...]) -> list[str]:
    found = []
    for each in _alternatives(shape):
        if isinstance(each, (inspect.VarTupleType, inspect.ListType)):
            found += _places(each.item_type, name, f"{where}[]", around)
        if isinstance(each, inspect.StructType) and each.cls not in around:
            for field in each.fields:
                if field.encode_name == name:
                    found.append(where)
                below = f"{where}.{field.encode_name}".removeprefix(".")
                found += _places(field.type, name, below, (*around, each.cls))
    return found


def _said(shape: inspect.Type) -> str:
    if isinstance(shape, inspect.LiteralType):
        return f"one of {', '.join(str(value) for value in shape.values if value != '')}"
    if isinstance(shape, (inspect.IntType, inspect.FloatType)):
        return _number(shape)
    if isinstance(shape, inspect.StrType):
        return "a text"
    if isinstance(shape, inspect.BoolType):
        return "true or false"
    if isinstance(shape, (inspect.VarTupleType, inspect.ListType)):
        return f"a list of {'at least one' if shape.min_length else 'any number'}"
    if isinstance(shape, inspect.StructType):
        return f"a mapping of {', '.join(field.encode_name for field in shape.fields[:MOST_FIELDS])}"
    return "a mapping" if isinstance(shape, inspect.DictType) else ""


def _number(shape: inspect.IntType | inspect.FloatType) -> str:
    kind = "a whole number" if isinstance(shape, inspect.IntType) else "a number"
    low = (
        f"at least {shape.ge:g}" if shape.ge is not None else f"more than {shape.gt:g}" if shape.gt is not None else ""
    )
    high = f"at most {shape.le:g}" if shape.le is not None else ""
    return " ".join(filter(None, [kind, " and ".join(filter(None, [low, high]))]))


MOST_FIELDS = 8
