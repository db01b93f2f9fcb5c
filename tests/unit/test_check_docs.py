"""The check of the documents finds what it is there for."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "tools" / "check_docs.py"
ROWS = [f"| GEY-{number:03} | text | open |" for number in range(1, 163)]
TEST_FILE = "class TestA:\n    def test_in(self): ...\n\nasync def test_out(): ...\n\nTestMachine = Rules.TestCase\n"


@pytest.fixture
def check():
    spec = importlib.util.spec_from_file_location("check_docs", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "docs" / "adr").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(TEST_FILE)
    (tmp_path / "docs" / "requirements.md").write_text("\n".join(ROWS))
    return tmp_path


def test_whole_tree_passes(check, tree) -> None:
    (tree / "README.md").write_text("[a](docs/requirements.md#top) [b](https://x.org) [c](#here) `[d](nowhere.md)`")
    (tree / "docs" / "adr" / "0001.md").write_text("[up](../requirements.md)")
    assert check.main(tree) == 0


def test_link_to_nothing_is_found(check, tree, capsys) -> None:
    (tree / "docs" / "adr" / "0001.md").write_text("see [up](requirements.md)")
    assert check.main(tree) == 1
    assert "docs/adr/0001.md: link to requirements.md" in capsys.readouterr().err


@pytest.mark.parametrize(
    "shown_by",
    [
        "tests/test_x.py",
        "tests/test_x.py::test_out",
        "tests/test_x.py::TestA::test_in",
        "`tests/test_x.py::TestMachine`, tests/test_x.py",
    ],
)
def test_row_may_name_tests_that_exist(check, tree, shown_by) -> None:
    _show(tree, shown_by)
    assert list(check.broken_rows(tree)) == []


@pytest.mark.parametrize(
    "shown_by", ["", "done", "tests/test_y.py", "tests/test_x.py::test_in", "tests/test_x.py::TestA::test_out"]
)
def test_row_that_names_no_test_is_found(check, tree, shown_by) -> None:
    _show(tree, shown_by)
    assert any("GEY-001" in fault for fault in check.broken_rows(tree))


def test_row_that_went_or_came_twice_is_found(check, tree) -> None:
    (tree / "docs" / "requirements.md").write_text("\n".join([*ROWS[:-2], ROWS[0]]))
    faults = list(check.broken_rows(tree))
    assert len(faults) == 2
    assert "161 rows" in faults[0]
    assert "GEY-001 has two rows" in faults[1]


def _show(tree: Path, shown_by: str) -> None:
    (tree / "docs" / "requirements.md").write_text("\n".join([f"| GEY-001 | text | {shown_by} |", *ROWS[1:]]))
