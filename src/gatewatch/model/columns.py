"""A column is written once, beside the field it describes; every schema is made from it."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints


class Column(NamedTuple):
    """What the store, the docs and the web say about one field."""

    arrow: str
    "Arrow type, as Arrow itself prints it: `string`, `int32`, `list<string>`, `timestamp[us]`."
    meaning: str
    unit: str = ""


class NamedColumn(NamedTuple):
    name: str
    arrow: str
    unit: str
    meaning: str
    nullable: bool


def columns_of(noun: type[Any]) -> list[NamedColumn]:
    """The columns of a noun, in field order, from the `Annotated` types of its fields.

    Args:
        noun: a class whose fields are `Annotated[type, Column(...)]`.
    """
    found: list[NamedColumn] = []
    for name, hint in get_type_hints(noun, include_extras=True).items():
        if get_origin(hint) is not Annotated:
            continue
        bare, *extras = get_args(hint)
        for extra in extras:
            if isinstance(extra, Column):
                nullable = type(None) in get_args(bare)
                found.append(NamedColumn(name, extra.arrow, extra.unit, extra.meaning, nullable))
    return found
