"""Subtree filtering (RFC 6241 §6)."""

from __future__ import annotations

import copy

from lxml import etree

from controller.netconf.device import RpcError
from controller.netconf.edit import namespaces_of
from controller.netconf.instances import elements
from controller.netconf.yang_engine import SchemaNode

MAX_COMPARISONS = 500_000
"""Filter elements are held against data elements, one by one: a few seconds of work, and far more than a question of
every channel of a ROADM takes."""


class _Budget:
    """What one filter may still cost."""

    def __init__(self) -> None:
        self._left = MAX_COMPARISONS

    def spend(self, filters: list[etree._Element]) -> None:
        self._left -= sum(1 + len(entry) for entry in filters)
        if self._left < 0:
            raise RpcError(
                "too-big", f"the filter takes more than {MAX_COMPARISONS} comparisons: ask for less at a time"
            )


def subtree(data: etree._Element, filters: etree._Element, schema: dict[str, SchemaNode]) -> etree._Element:
    """A new <data> with what the <filter> element selects from `data`; an empty filter selects nothing.

    Raises RpcError (too-big) when it would cost more than `MAX_COMPARISONS`.
    """
    result = etree.Element(data.tag)
    _select(data, list(elements(filters)), result, schema)
    return result


def _select(
    data: etree._Element, filters: list[etree._Element], into: etree._Element, schema: dict[str, SchemaNode]
) -> None:
    budget = _Budget()
    for child in elements(data):
        budget.spend(filters)
        matching = [entry for entry in filters if _same_name(entry, child)]
        node = schema.get(str(child.tag))
        selected = _selected(child, matching, node, budget)
        if selected is not None:
            into.append(selected)


def _selected(
    element: etree._Element, filters: list[etree._Element], node: SchemaNode | None, budget: _Budget
) -> etree._Element | None:
    """What a set of sibling filters selects of one element: their union, each part once."""
    budget.spend(filters)
    hits = [entry for entry in filters if _attributes_match(entry, element) and _content_matches(entry, element)]
    if not hits:
        return None
    children = {} if node is None else node.children
    if any(_selects_all(entry) for entry in hits):
        return copy.deepcopy(element)
    wanted = [child for entry in hits for child in elements(entry)]
    result = etree.Element(element.tag, nsmap=namespaces_of(element))
    # RFC 6241 §6.2.5 and §6.4: keys of a list entry are shown beside what was selected in it.
    keys = () if node is None else node.keys
    for child in elements(element):
        budget.spend(wanted)
        entries = [entry for entry in wanted if _same_name(entry, child)]
        matched = [entry for entry in entries if _is_content_match(entry)]
        if child.tag in keys or matched:
            result.append(copy.deepcopy(child))
            continue
        found = _selected(child, entries, children.get(str(child.tag)), budget)
        if found is not None:
            result.append(found)
    return result if len(result) > sum(1 for child in result if child.tag in keys) or _only_matches(hits) else None


def _only_matches(hits: list[etree._Element]) -> bool:
    """True when the filter asks for keys or content matches alone, so that keys alone are an answer."""
    return any(all(_is_content_match(child) or not len(child) for child in elements(entry)) for entry in hits)


def _selects_all(entry: etree._Element) -> bool:
    # §6.2.4 a selection node; §6.2.5: only content matches, then all siblings are in.
    children = list(elements(entry))
    return not children or all(_is_content_match(child) for child in children)


def _is_content_match(entry: etree._Element) -> bool:
    return not len(entry) and bool((entry.text or "").strip())


def _content_matches(entry: etree._Element, element: etree._Element) -> bool:
    if _is_content_match(entry):
        return _text(entry) == _text(element)
    for child in elements(entry):
        if _is_content_match(child):
            values = [_text(found) for found in elements(element) if _same_name(child, found)]
            if _text(child) not in values:
                return False
    return True


def _attributes_match(entry: etree._Element, element: etree._Element) -> bool:
    return all(element.get(name) == value for name, value in entry.attrib.items())


def _same_name(entry: etree._Element, element: etree._Element) -> bool:
    wanted = etree.QName(entry)
    # §6.2.1: without a namespace, the filter matches any.
    if wanted.namespace in (None, "", "urn:ietf:params:xml:ns:netconf:base:1.0"):
        return wanted.localname == etree.QName(element).localname
    return entry.tag == element.tag


def _text(element: etree._Element) -> str:
    text = (element.text or "").strip()
    prefix, colon, local = text.partition(":")
    return f"{{{element.nsmap[prefix]}}}{local}" if colon and prefix in element.nsmap else text
