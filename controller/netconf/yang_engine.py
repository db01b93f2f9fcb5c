"""YANG behind one small class: libyang validates, pyang tells the facts that editing needs.

libyang's public Python interface loads, parses and validates, but does not show keys, ordering or choices; those come
from pyang's schema tree, read once per model set. An engine is shared by all endpoints that serve the same modules.
"""

from __future__ import annotations

import sysconfig
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import oopt_gnpy_libyang as libyang
from lxml import etree
from pyang.context import Context
from pyang.repository import FileRepository

_DATA_KINDS = frozenset({"container", "list", "leaf", "leaf-list", "anyxml", "anydata"})


class YangViolation(Exception):
    """A configuration breaks the model; `path` is the data path and `app_tag` the model's error-app-tag, if any.

    is_value : a leaf's value is not of its type (RFC 7950 §8.3.1), rather than the whole breaking a constraint
    """

    def __init__(self, message: str, path: str | None, app_tag: str | None, *, is_value: bool = False) -> None:
        super().__init__(message)
        self.is_value = is_value
        self.message = message
        self.path = path
        self.app_tag = app_tag


@dataclass(slots=True)
class SchemaNode:
    """What editing and filtering must know of a schema node; choices and cases are dissolved into `case`."""

    tag: str
    kind: str
    config: bool
    keys: tuple[str, ...] = ()
    user_ordered: bool = False
    presence: bool = False
    case: tuple[tuple[str, str], ...] = ()
    """(choice, case) pairs from the outermost choice inwards."""
    children: dict[str, SchemaNode] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class YangModule:
    """A loaded module."""

    name: str
    revision: str
    namespace: str
    source: str
    implemented: bool = True


def standard_modules_dir() -> Path:
    """Folder of IETF modules that the pyang package installs."""
    return Path(sysconfig.get_path("data")) / "share" / "yang" / "modules"


class YangEngine:
    """One model set: modules found in `search_dirs` and among the installed IETF modules.

    `modules` are module names, newest revision in the folder first; what they import is implemented too, so that
    identities of imported modules are usable as values.
    """

    def __init__(
        self,
        search_dirs: Sequence[Path],
        modules: Sequence[str],
        features: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        folders = [Path(folder) for folder in search_dirs]
        standard = standard_modules_dir()
        search = ":".join(str(folder) for folder in (*folders, standard / "ietf", standard / "iana"))
        libyang.set_log_options(libyang.LogOptions.Store)
        options = libyang.ContextOptions
        flags = options.NoYangLibrary | options.DisableSearchCwd | options.AllImplemented
        self._context = libyang.Context(search, flags)
        for name in modules:
            self._context.load_module(name, None, list((features or {}).get(name, ())))
        self._context.clean_all_errors()
        # Validation and the reading of its errors are two calls on one context, from several threads.
        self._turn = threading.Lock()
        self.modules = tuple(_describe(module, search) for module in _sorted_modules(self._context))
        self.roots: dict[str, SchemaNode] = {}
        self.rpcs: set[str] = set()
        self._read_schema(search)
        self.namespaces = frozenset(module.namespace for module in self.modules)

    def validate_config(self, data: etree._Element) -> None:
        """Validate a whole configuration (<data> with the top-level nodes inside); raises YangViolation."""
        parse = libyang.ParseOptions
        self._validate(data, parse.Strict | parse.NoState, libyang.ValidationOptions.NoState)

    def validate_operational(self, data: etree._Element) -> None:
        """Validate configuration and state together; raises YangViolation."""
        self._validate(data, libyang.ParseOptions.Strict, libyang.ValidationOptions.Present)

    def node(self, path: Sequence[str]) -> SchemaNode | None:
        """Schema node at a path of element names."""
        children = self.roots
        found: SchemaNode | None = None
        for tag in path:
            found = children.get(tag)
            if found is None:
                return None
            children = found.children
        return found

    def _validate(self, data: etree._Element, parse: Any, validation: Any) -> None:
        text = b"".join(etree.tostring(child, with_tail=False) for child in data)
        with self._turn:
            try:
                self._context.parse_data(text.decode(), libyang.DataFormat.XML, parse, validation)
            except libyang.Error as error:
                found = self._context.errors()
                if not found:
                    raise YangViolation(str(error), None, None) from error
                message, _, place = found[0].message.partition(" Data location ")
                path, app_tag = found[0].path or place, found[0].app_tag
                is_value = not self._parses(text.decode())
                raise YangViolation(message, _clean_path(path), app_tag, is_value=is_value) from error
            finally:
                self._context.clean_all_errors()

    def _parses(self, text: str) -> bool:
        """True when each node by itself is as the model wants it; libyang looks at types before constraints."""
        parse, validation = libyang.ParseOptions, libyang.ValidationOptions
        try:
            self._context.parse_data(text, libyang.DataFormat.XML, parse.Strict | parse.ParseOnly, validation.Present)
        except libyang.Error:
            return False
        return True

    def _read_schema(self, search: str) -> None:
        context = Context(FileRepository(search, use_env=False, no_path_recurse=True))
        statements = [
            context.add_module(f"{module.name}@{module.revision}.yang", module.source) for module in self.modules
        ]
        context.validate()
        spaces = {module.name: module.namespace for module in self.modules}
        for statement in statements:
            if statement is None or statement.keyword != "module":
                continue
            for child in statement.i_children:
                tag = f"{{{spaces[child.i_module.i_modulename]}}}{child.arg}"
                if child.keyword in _DATA_KINDS:
                    self.roots[tag] = _schema_node(child, spaces, ())
                elif child.keyword == "rpc":
                    self.rpcs.add(tag)
                elif child.keyword == "choice":
                    _add_children(self.roots, child, spaces, ())


def _sorted_modules(context: Any) -> list[Any]:
    modules = context.modules() if callable(context.modules) else context.modules
    # libyang's own modules that describe no device of ours are left out of what we announce.
    internal = {"ietf-yang-metadata", "yang", "default", "ietf-yang-schema-mount", "ietf-yang-structure-ext"}
    return sorted((module for module in modules if module.name not in internal), key=lambda module: str(module.name))


def _describe(module: Any, search: str) -> YangModule:
    revision = str(module.revision or "")
    file = _find_source(module.name, revision, search)
    source = file.read_text()
    start = source.find("namespace")
    namespace = source[start:].split('"', 2)[1] if '"' in source[start:] else ""
    return YangModule(str(module.name), revision, namespace.strip(), source, bool(module.implemented))


def _find_source(name: str, revision: str, search: str) -> Path:
    for folder in search.split(":"):
        for candidate in (f"{name}@{revision}.yang", f"{name}.yang"):
            file = Path(folder) / candidate
            if file.exists():
                return file
    raise FileNotFoundError(f"no source of YANG module {name}@{revision} in {search}")


def _schema_node(statement: Any, spaces: Mapping[str, str], case: tuple[tuple[str, str], ...]) -> SchemaNode:
    namespace = spaces[statement.i_module.i_modulename]
    node = SchemaNode(
        tag=f"{{{namespace}}}{statement.arg}",
        kind=statement.keyword,
        config=bool(statement.i_config),
        case=case,
    )
    if statement.keyword == "list":
        node.keys = tuple(
            f"{{{spaces[key.i_module.i_modulename]}}}{key.arg}" for key in getattr(statement, "i_key", ())
        )
    if statement.keyword in ("list", "leaf-list"):
        ordered = statement.search_one("ordered-by")
        node.user_ordered = ordered is not None and ordered.arg == "user"
    node.presence = statement.keyword == "container" and statement.search_one("presence") is not None
    _add_children(node.children, statement, spaces, ())
    return node


def _add_children(
    into: dict[str, SchemaNode], statement: Any, spaces: Mapping[str, str], case: tuple[tuple[str, str], ...]
) -> None:
    for child in getattr(statement, "i_children", ()):
        if child.keyword in _DATA_KINDS:
            node = _schema_node(child, spaces, case)
            into[node.tag] = node
        elif child.keyword == "choice":
            for branch in child.i_children:
                _add_children(into, branch, spaces, (*case, (child.arg, branch.arg)))


def _clean_path(path: str | None) -> str | None:
    if not path:
        return None
    found = path.strip().strip(".").partition('"')[2].rpartition('"')[0]
    return found or path
