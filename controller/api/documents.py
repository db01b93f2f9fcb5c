"""Messages as JSON documents for people and scripts, and back: field names as in the proto files, units included.

Written, enumerations lose their prefix (`ACTIVE`), 64-bit numbers stay numbers, and what is absent is null. Read, the
protobuf JSON mapping holds (lowerCamelCase is understood too), and every refusal names field, value and mend.
"""

from __future__ import annotations

import json
from collections.abc import MutableSequence, Sequence
from difflib import get_close_matches
from math import isfinite, isnan
from typing import Any, TypeAlias

from geysers.nips.v1 import nips_pb2
from geysers.pip.v1 import pip_pb2
from geysers.vi.v1 import vi_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from controller.api.convert import nips as convert_nips
from controller.api.convert import pip as convert_pip
from controller.api.convert import vi as convert_vi
from controller.domain.errors import InvalidRequest
from controller.domain.infrastructure import VirtualInfrastructure
from controller.domain.nips import Nips
from controller.domain.offers import Catalogue
from controller.domain.reservation import Reservation

Document: TypeAlias = dict[str, Any]
# Each implementation of protobuf has descriptor classes of its own, all alike.
Field: TypeAlias = Any
SHOWN_CHARACTERS = 60


def infrastructure_from_document(text: str, where: str) -> VirtualInfrastructure:
    """Read a geysers.vi.v1.VirtualInfrastructure; `where` (a file's name) heads every refusal.

    Raises: InvalidRequest.
    """
    message = vi_pb2.VirtualInfrastructure()
    try:
        document = json.loads(text, object_pairs_hook=_each_key_once, parse_constant=_no_constant)
    except RecursionError as error:
        raise InvalidRequest(f"{where}: is nested too deeply: write one JSON object", field=where) from error
    except ValueError as error:
        raise InvalidRequest(f"{where}: is not JSON: {error}: mend it there", field=where) from error
    _fill(message, document, where, "")
    try:
        return convert_vi.infrastructure_from(message, message.name)
    except InvalidRequest as error:
        raise InvalidRequest(f"{where}: {error.message}", **error.fields) from error


def infrastructure_document(infrastructure: VirtualInfrastructure) -> Document:
    """Write a VI."""
    return document_of(convert_vi.infrastructure_to(infrastructure))


def nips_document(nips: Nips) -> Document:
    """Write a service."""
    return document_of(convert_nips.nips_to(nips))


def topology_document(topology: nips_pb2.GetTopologyResponse) -> Document:
    """Write a traffic engineering database."""
    return document_of(topology)


def catalogue_document(catalogue: Catalogue) -> Document:
    """Write everything that a PIP offers."""
    return document_of(convert_pip.catalogue_to(catalogue))


def reservations_document(reservations: Sequence[Reservation]) -> Document:
    """Write reservations."""
    return document_of(
        pip_pb2.ListReservationsResponse(reservations=[convert_pip.reservation_to(entry) for entry in reservations])
    )


def document_of(message: Message) -> Document:
    """Every field of `message`, set or not."""
    written: Document = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if isinstance(value, MutableSequence):
            written[field.name] = [_written(field, entry) for entry in value]
        elif field.has_presence and not message.HasField(field.name):
            written[field.name] = None
        else:
            written[field.name] = _written(field, value)
    return written


def _written(field: Field, value: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    if isinstance(value, Message):
        return document_of(value)
    if field.enum_type is not None:
        found = field.enum_type.values_by_number.get(value)
        return value if found is None else found.name.removeprefix(_prefix(field.enum_type))
    if isinstance(value, float) and not isfinite(value):
        # JSON has no such number; protobuf's mapping writes a text.
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _prefix(kind: Any) -> str:
    """What all values of an enumeration begin with; the one with number 0 is …_UNSPECIFIED (AIP-126)."""
    first: str = kind.values_by_number[0].name
    return first.removesuffix("UNSPECIFIED")


def _fill(message: Message, document: Any, where: str, path: str) -> None:
    """Set the fields of `message` from a JSON object found at `path`."""
    if not isinstance(document, dict):
        raise _refusal(where, path or "the document", document, "write an object, { … }")
    fields = {field.name: field for field in message.DESCRIPTOR.fields}
    by_json_name = {field.json_name: field for field in message.DESCRIPTOR.fields}
    seen: set[str] = set()
    for key, value in document.items():
        field = fields.get(key) or by_json_name.get(key)
        here = f"{path}.{key}" if path else key
        if field is None:
            raise InvalidRequest(f"{where}: {here}: no such field: {_nearest(key, list(fields))}", field=here)
        if field.name in seen:
            raise InvalidRequest(f"{where}: {here}: is there in both spellings: keep one", field=here)
        seen.add(field.name)
        if value is None:
            continue
        target = getattr(message, field.name)
        if isinstance(target, MutableSequence):
            if not isinstance(value, list):
                raise _refusal(where, here, value, "write a list, [ … ]")
            for index, entry in enumerate(value):
                element = target.add() if field.message_type is not None else target  # type: ignore[attr-defined]
                _set(message, field, element, entry, where, f"{here}[{index}]")
        else:
            _set(message, field, target, value, where, here)


def _set(message: Message, field: Field, target: Any, value: Any, where: str, here: str) -> None:
    """One value: a message is filled, anything else is left to protobuf's JSON mapping."""
    if isinstance(target, Message) and not isinstance(target, Timestamp):
        target.SetInParent()
        _fill(target, value, where, here)
        return
    full = value
    if field.enum_type is not None and isinstance(value, str):
        full = _prefix(field.enum_type) + value.removeprefix(_prefix(field.enum_type))
    one = type(message)()
    try:
        json_format.ParseDict({field.name: [full] if isinstance(target, MutableSequence) else full}, one)
    except (json_format.ParseError, TypeError, ValueError, AttributeError) as error:
        raise _refusal(where, here, value, _mend(field)) from error
    message.MergeFrom(one)


def _mend(field: Field) -> str:
    kind = FieldDescriptor
    if field.enum_type is not None:
        prefix = _prefix(field.enum_type)
        return f"write one of {', '.join(value.name.removeprefix(prefix) for value in field.enum_type.values)}"
    if field.message_type is not None:
        return "write a time as 2026-01-31T12:00:00Z"
    if field.cpp_type in (kind.CPPTYPE_UINT32, kind.CPPTYPE_UINT64):
        return "write a whole number of at least 0"
    if field.cpp_type in (kind.CPPTYPE_INT32, kind.CPPTYPE_INT64):
        return "write a whole number"
    if field.cpp_type in (kind.CPPTYPE_DOUBLE, kind.CPPTYPE_FLOAT):
        return "write a number"
    return "write true or false" if field.cpp_type == kind.CPPTYPE_BOOL else "write a text in quotes"


def _refusal(where: str, field: str, value: Any, mend: str) -> InvalidRequest:
    shown = json.dumps(value, ensure_ascii=False)
    if len(shown) > SHOWN_CHARACTERS:
        shown = shown[:SHOWN_CHARACTERS] + "…"
    return InvalidRequest(f"{where}: {field}: {shown} does not fit: {mend}", field=field, value=shown)


def _nearest(key: str, known: list[str]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"


def _each_key_once(pairs: list[tuple[str, Any]]) -> Document:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} appears twice in one object")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
