"""<edit-config> on a configuration tree (RFC 6241 §7.2), with the facts of the YANG schema.

The tree is edited in a copy: whoever calls keeps the old one until the whole edit, and its validation, succeeded.
An edit of n elements costs O(n), whatever a client sends: instances are found through controller.netconf.instances.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from lxml import etree

from controller.netconf.device import BASE, RpcError
from controller.netconf.instances import YANG, Instances, elements
from controller.netconf.yang_engine import SchemaNode, YangEngine

OPERATION = f"{{{BASE}}}operation"
OPERATIONS = frozenset({"merge", "replace", "create", "delete", "remove"})
DEFAULT_OPERATIONS = frozenset({"merge", "replace", "none"})
# Without the look-behind a long word without a colon would be scanned again from each of its letters.
_PREFIX = re.compile(r"(?<![\w.-])([A-Za-z_][\w.-]*):")
INSERT = f"{{{YANG}}}insert"


def apply_edit(
    engine: YangEngine, running: etree._Element, config: Sequence[etree._Element], default_operation: str = "merge"
) -> etree._Element:
    """A new <data> tree with the edits of `config` applied to a copy of `running`.

    Raises RpcError: unknown-element, unknown-namespace, missing-element (a list entry without its key),
    bad-attribute, data-exists, data-missing, invalid-value.
    """
    if default_operation not in DEFAULT_OPERATIONS:
        raise RpcError(
            "invalid-value",
            f"default-operation {default_operation!r}: use merge, replace or none",
            error_type="protocol",
        )
    target = copy.deepcopy(running)
    if default_operation == "replace":
        # RFC 6241 §7.2: the configuration in <config> completely replaces the target.
        for child in list(target):
            target.remove(child)
    editor = _Editor(engine)
    for element in config:
        editor.edit(target, element, engine.roots, "none" if default_operation == "none" else "merge", "")
    prune(target, engine.roots)
    return target


class _Editor:
    def __init__(self, engine: YangEngine) -> None:
        self._engine = engine
        self._instances = Instances()

    def edit(
        self,
        parent: etree._Element,
        edit: etree._Element,
        schema: dict[str, SchemaNode],
        inherited: str,
        path: str,
    ) -> None:
        """Apply one element of the edit under `parent` of the target."""
        node = self._schema_of(edit, schema, path)
        here = f"{path}/{_step(edit, node)}"
        operation = edit.get(OPERATION, inherited)
        if operation not in OPERATIONS and not (operation == "none" and OPERATION not in edit.attrib):
            raise RpcError(
                "bad-attribute",
                f"operation {operation!r} at {here}: use merge, replace, create, delete or remove",
                path=here,
                info=[("bad-attribute", "operation"), ("bad-element", etree.QName(edit).localname)],
            )
        self._check_keys(edit, node, here)
        found = self._instances.find(parent, edit, node)
        if operation in ("delete", "remove"):
            self._take_away(parent, found, node, operation, here)
        elif operation == "create" and found is not None:
            raise RpcError("data-exists", f"{here} exists already", path=here)
        elif operation in ("create", "replace"):
            self._put(parent, edit, node, schema, found, here)
        else:
            self._merge(parent, edit, node, schema, found, operation, here)

    def _merge(
        self,
        parent: etree._Element,
        edit: etree._Element,
        node: SchemaNode,
        schema: dict[str, SchemaNode],
        found: etree._Element | None,
        operation: str,
        here: str,
    ) -> None:
        if node.kind in ("leaf", "leaf-list", "anyxml", "anydata"):
            if operation != "none":
                self._put(parent, edit, node, schema, found, here)
            return
        if found is None:
            if operation == "none" and not any(OPERATION in child.attrib for child in edit.iterdescendants("{*}*")):
                raise RpcError("data-missing", f"{here} does not exist", path=here)
            found = self._insert(parent, _shell(edit, node), node, schema, edit)
        elif INSERT in edit.attrib:
            self._instances.remove(parent, found, node)
            self._insert(parent, found, node, schema, edit)
        for child in elements(edit):
            if child.tag not in node.keys:
                self.edit(found, child, node.children, operation, here)

    def _put(
        self,
        parent: etree._Element,
        edit: etree._Element,
        node: SchemaNode,
        schema: dict[str, SchemaNode],
        found: etree._Element | None,
        here: str,
    ) -> None:
        """Replace the instance by the edit as a whole; nested operations still count."""
        if node.kind in ("leaf", "leaf-list", "anyxml", "anydata"):
            fresh = _clean_copy(edit)
        else:
            fresh = _shell(edit, node)
            for child in elements(edit):
                if child.tag not in node.keys:
                    self.edit(fresh, child, node.children, "merge", here)
        if found is None or INSERT in edit.attrib:
            if found is not None:
                self._instances.remove(parent, found, node)
            self._insert(parent, fresh, node, schema, edit)
        else:
            self._instances.replace(parent, found, fresh, node)

    def _insert(
        self,
        parent: etree._Element,
        fresh: etree._Element,
        node: SchemaNode,
        schema: dict[str, SchemaNode],
        edit: etree._Element,
    ) -> etree._Element:
        """Add an instance, in the order the edit asks for; other cases of its choice go (RFC 7950 §7.9.3)."""
        if node.case and parent.getparent() is not None:
            chosen = dict(node.case)
            for other in schema.values():
                if any(chosen.get(choice, case) != case for choice, case in other.case):
                    self._instances.clear(parent, other)
        where = edit.get(INSERT, "last") if node.user_ordered else "last"
        if where == "first":
            self._instances.add_first(parent, fresh, node)
        elif where in ("before", "after"):
            anchor = self._instances.anchor(parent, edit, node)
            if anchor is None:
                raise RpcError(
                    "bad-attribute", f"insert {where}: no such entry", app_tag="missing-instance", path=f"/{node.tag}"
                )
            self._instances.add_beside(parent, fresh, node, anchor, before=where == "before")
        else:
            self._instances.add_last(parent, fresh, node)
        return fresh

    def _take_away(
        self, parent: etree._Element, found: etree._Element | None, node: SchemaNode, operation: str, here: str
    ) -> None:
        if found is not None:
            self._instances.remove(parent, found, node)
        elif operation == "delete":
            raise RpcError("data-missing", f"{here} does not exist", path=here)

    def _schema_of(self, edit: etree._Element, schema: dict[str, SchemaNode], path: str) -> SchemaNode:
        node = schema.get(str(edit.tag))
        name = etree.QName(edit)
        if node is None and name.namespace not in self._engine.namespaces:
            raise RpcError(
                "unknown-namespace",
                f"namespace {name.namespace!r} of element {name.localname!r} is not served here",
                path=path or None,
                info=[("bad-element", name.localname), ("bad-namespace", name.namespace or "")],
            )
        if node is None or not node.config:
            what = "is unknown" if node is None else "is state and cannot be edited"
            raise RpcError(
                "unknown-element" if node is None else "invalid-value",
                f"element {name.localname!r} {what} in {path or '/'}",
                path=path or None,
                info=[("bad-element", name.localname)],
            )
        return node

    def _check_keys(self, edit: etree._Element, node: SchemaNode, here: str) -> None:
        for key in node.keys if node.kind == "list" else ():
            if edit.find(key) is None:
                name = etree.QName(key).localname
                raise RpcError(
                    "missing-element",
                    f"list entry {here} lacks its key {name!r}",
                    path=here,
                    info=[("bad-element", name)],
                )


def namespaces_of(element: etree._Element) -> Any:
    """The prefixes that an element's own name and value need, and no more.

    Configuration that was added and taken away again must leave the same bytes, whatever prefixes a client declared.
    """
    namespaces: dict[str | None, str] = {None: etree.QName(element).namespace or ""}
    if not len(element):
        for prefix in _PREFIX.findall(element.text or ""):
            if prefix in element.nsmap:
                namespaces[prefix] = element.nsmap[prefix]
    return namespaces


def prune(parent: etree._Element, schema: dict[str, SchemaNode]) -> None:
    """Drop non-presence containers without content, which carry no meaning (RFC 7950 §7.5.1)."""
    for child in list(elements(parent)):
        node = schema.get(str(child.tag))
        if node is None or node.kind not in ("container", "list"):
            continue
        prune(child, node.children)
        if node.kind == "container" and not node.presence and not len(child):
            parent.remove(child)


def _shell(edit: etree._Element, node: SchemaNode) -> etree._Element:
    """A new container or list entry that holds only its keys."""
    fresh = etree.Element(str(edit.tag), nsmap=namespaces_of(edit))
    for key in node.keys:
        found = edit.find(key)
        if found is not None:
            fresh.append(_clean_copy(found))
    return fresh


def _clean_copy(element: etree._Element) -> etree._Element:
    fresh = etree.Element(str(element.tag), nsmap=namespaces_of(element))
    text = (element.text or "").strip()
    prefix, colon, local = text.partition(":")
    # A name in the element's own namespace is written without prefix: the default namespace says the same, and lxml
    # drops a second declaration of a namespace when a node moves under a parent that declares it already.
    own = colon and element.nsmap.get(prefix) == etree.QName(element).namespace and _PREFIX.fullmatch(prefix + ":")
    fresh.text = (local if own else text) or None
    for child in elements(element):
        fresh.append(_clean_copy(child))
    return fresh


def _step(edit: etree._Element, node: SchemaNode) -> str:
    name = etree.QName(edit).localname
    keys = "".join(
        f"[{etree.QName(key).localname}='{edit.findtext(key)}']" for key in node.keys if edit.find(key) is not None
    )
    return name + keys
