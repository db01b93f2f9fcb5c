"""Hold the documents against the tree: links lead somewhere, and every requirement names a test that exists."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = 162
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
ROW = re.compile(r"^\| *([A-Z]{3}-[0-9]{3}) *\|.*\| *([^|]*?) *\|$", re.MULTILINE)
TEST = re.compile(r"(tests/[\w/]+\.py)((?:::\w+)*)")


def broken_links(root: Path) -> Iterator[str]:
    """Relative links to files that are not there; what stands in code is no link."""
    for document in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")]):
        for target in LINK.findall(CODE.sub("", document.read_text())):
            path = target.partition("#")[0]
            if re.match(r"[a-z][a-z0-9+.-]*:", target) or not path:
                continue
            if not (document.parent / path).exists():
                yield f"{document.relative_to(root)}: link to {target}, which is not there"


def broken_rows(root: Path) -> Iterator[str]:
    """Requirements that are missing, told twice, or shown by no test that exists."""
    rows = ROW.findall((root / "docs" / "requirements.md").read_text())
    names = [name for name, _ in rows]
    if len(rows) != REQUIREMENTS:
        yield f"docs/requirements.md: {len(rows)} rows, not {REQUIREMENTS}: each requirement keeps its line"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"docs/requirements.md: {name} has two rows"
    for name, shown_by in rows:
        if shown_by == "open":
            continue
        for test in re.split(r"[,\s]+", shown_by):
            match = TEST.fullmatch(test.strip("`"))
            if match is None:
                yield f"docs/requirements.md: {name}: {test!r} is neither `open` nor tests/….py or tests/….py::name"
            elif not _exists(root / match[1], match[2].split("::")[1:]):
                yield f"docs/requirements.md: {name}: {test} does not exist"


def _exists(file: Path, names: list[str]) -> bool:
    """True when a file has the test function, or the class and in it the method, that `names` lead to."""
    if not file.is_file():
        return False
    scope: list[ast.stmt] = ast.parse(file.read_text()).body
    for name in names:
        found = [
            statement
            for statement in scope
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and statement.name == name
        ]
        # `TestMachine = Rules.TestCase` is how hypothesis gives a state machine its name.
        bound = any(
            isinstance(target, ast.Name) and target.id == name
            for statement in scope
            if isinstance(statement, ast.Assign)
            for target in statement.targets
        )
        if not found and not bound:
            return False
        scope = found[0].body if found else []
    return True


def main(root: Path = ROOT) -> int:
    """Exit status: 1 when something is broken."""
    faults = [*broken_links(root), *broken_rows(root)]
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
