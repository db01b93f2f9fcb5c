"""The instances of lists, leaf-lists and single nodes under their parents, found by key without a scan.

A client chooses how many siblings an edit has. Each parent's children of one name are therefore read once, and the
index follows every change that is made through it, in the order of the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lxml import etree

from controller.netconf.yang_engine import SchemaNode

YANG = "urn:ietf:params:xml:ns:yang:1"
KEY, VALUE = f"{{{YANG}}}key", f"{{{YANG}}}value"
Identity = tuple[str | None, ...]
"""Values of the keys, or the value of a leaf-list entry; empty for a node that a parent has once."""
_PREDICATE = re.compile(r"""\[\s*(?:[\w.-]+:)?([\w.-]+)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*\]""")


class _Siblings:
    """One parent's children of one name."""

    __slots__ = ("by_identity", "first", "last")

    def __init__(self, parent: etree._Element, node: SchemaNode) -> None:
        self.by_identity: dict[Identity, etree._Element] = {}
        self.first: etree._Element | None = None
        self.last: etree._Element | None = None
        for child in parent.iterchildren(node.tag):
            self.by_identity.setdefault(identity(child, node), child)
            self.first = child if self.first is None else self.first
            self.last = child


class Instances:
    """Finds and changes the children of the elements of one tree; whoever changes them otherwise makes it stale."""

    def __init__(self) -> None:
        # An element is its own key, and is kept alive here: lxml gives the same object for the same node meanwhile.
        self._siblings: dict[tuple[etree._Element, str], _Siblings] = {}

    def find(self, parent: etree._Element, like: etree._Element, node: SchemaNode) -> etree._Element | None:
        """The child of `parent` that is the same instance as `like`: by keys for lists, by value for leaf-lists."""
        return self._of(parent, node).by_identity.get(identity(like, node))

    def anchor(self, parent: etree._Element, edit: etree._Element, node: SchemaNode) -> etree._Element | None:
        """The entry that an insert names, by its key predicates or its value (RFC 7950 §7.8.6, §7.7.9)."""
        wanted: Identity
        if node.kind == "leaf-list":
            wanted = (_resolved(edit.get(VALUE, ""), edit),)
        else:
            predicates = {name: single or double for name, single, double in _PREDICATE.findall(edit.get(KEY, ""))}
            named = (predicates.get(etree.QName(key).localname) for key in node.keys)
            wanted = tuple(None if value is None else _resolved(value, edit) for value in named)
        return self._of(parent, node).by_identity.get(wanted)

    def add_first(self, parent: etree._Element, fresh: etree._Element, node: SchemaNode) -> None:
        """Put `fresh` before all its siblings."""
        siblings = self._of(parent, node)
        if siblings.first is None:
            self.add_last(parent, fresh, node)
        else:
            self.add_beside(parent, fresh, node, siblings.first, before=True)

    def add_last(self, parent: etree._Element, fresh: etree._Element, node: SchemaNode) -> None:
        """Put `fresh` after all its siblings, which stay together."""
        siblings = self._of(parent, node)
        if siblings.last is not None:
            self.add_beside(parent, fresh, node, siblings.last, before=False)
            return
        parent.append(fresh)
        siblings.first = siblings.last = siblings.by_identity[identity(fresh, node)] = fresh

    def add_beside(
        self, parent: etree._Element, fresh: etree._Element, node: SchemaNode, anchor: etree._Element, *, before: bool
    ) -> None:
        """Put `fresh` next to its sibling `anchor`."""
        siblings = self._of(parent, node)
        if before:
            anchor.addprevious(fresh)
            siblings.first = fresh if siblings.first is anchor else siblings.first
        else:
            anchor.addnext(fresh)
            siblings.last = fresh if siblings.last is anchor else siblings.last
        siblings.by_identity[identity(fresh, node)] = fresh

    def replace(self, parent: etree._Element, found: etree._Element, fresh: etree._Element, node: SchemaNode) -> None:
        """Put `fresh` in the place of the same instance `found`."""
        siblings = self._of(parent, node)
        parent.replace(found, fresh)
        siblings.first = fresh if siblings.first is found else siblings.first
        siblings.last = fresh if siblings.last is found else siblings.last
        siblings.by_identity[identity(fresh, node)] = fresh

    def remove(self, parent: etree._Element, found: etree._Element, node: SchemaNode) -> None:
        """Take an instance away."""
        siblings = self._of(parent, node)
        siblings.by_identity.pop(identity(found, node), None)
        if not siblings.by_identity:
            siblings.first = siblings.last = None
        # Entries of one list stand together, so that the neighbour is the next element.
        elif siblings.first is found:
            siblings.first = next(found.itersiblings(node.tag), None)
        elif siblings.last is found:
            siblings.last = next(found.itersiblings(node.tag, preceding=True), None)
        parent.remove(found)

    def clear(self, parent: etree._Element, node: SchemaNode) -> None:
        """Take all instances of `node` away."""
        siblings = self._of(parent, node)
        for found in siblings.by_identity.values():
            parent.remove(found)
        siblings.by_identity.clear()
        siblings.first = siblings.last = None

    def _of(self, parent: etree._Element, node: SchemaNode) -> _Siblings:
        siblings = self._siblings.get((parent, node.tag))
        if siblings is None:
            siblings = self._siblings[parent, node.tag] = _Siblings(parent, node)
        return siblings


def elements(parent: etree._Element) -> Iterator[etree._Element]:
    """Child elements, without comments and processing instructions."""
    return (child for child in parent if isinstance(child.tag, str))


def identity(element: etree._Element, node: SchemaNode) -> Identity:
    """What tells an instance from its siblings, with prefixes resolved, so that equal identities compare equal."""
    if node.kind == "list":
        return tuple(_value(element.find(key)) for key in node.keys)
    return (_value(element),) if node.kind == "leaf-list" else ()


def _value(element: etree._Element | None) -> str | None:
    return None if element is None else _resolved(element.text or "", element)


def _resolved(written: str, at: etree._Element) -> str:
    """A value as it compares: a prefix that is declared at `at` gives way to its namespace."""
    value = written.strip()
    prefix, colon, local = value.partition(":")
    if not colon:
        return value
    namespaces: Mapping[str | None, str] = at.nsmap
    if prefix not in namespaces:
        return value
    if namespaces[prefix] == etree.QName(at).namespace:
        return local
    return f"{{{namespaces[prefix]}}}{local}"
