"""The shape of the code: floors, sizes, names, words that must not be there."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
EVERYTHING = sorted(
    path
    for folder in ("src", "tests", "bench", "examples", "docs")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and path.suffix in {".py", ".md", ".R", ".sh", ".toml", ".json", ""}
)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_imports_go_down_only() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_files_and_functions_are_short_and_documented(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 500
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or path.name == "__init__.py" or "migrations" in path.parts
    for function in functions(tree):
        assert (function.end_lineno or 0) - function.lineno <= 80, function.name


def test_names_say_something() -> None:
    empty = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}
    assert not [path for path in SOURCES if path.stem in empty or path.parent.name in empty]


def test_the_service_never_unpickles_evaluates_or_shells_out() -> None:
    forbidden = re.compile(
        r"\bpickle\.load|\bpickle\.loads|joblib\.load|\beval\(|\bexec\(|shell=True|os\.system|yaml\.load\("
    )
    assert not [path for path in SOURCES if forbidden.search(path.read_text())]


def test_signatures_are_compared_in_constant_time() -> None:
    for path in (ROOT / "src/sagestead/wire/sigv4").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                names |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
                assert not names & {"signature", "secret", "expected_signature", "session_token"}, (
                    f"{path.name}:{node.lineno}"
                )


def test_nothing_names_a_machine() -> None:
    private = re.compile("|".join(f"/{name}/" for name in ("work", "root", "farm")) + r"|bash[_]jobs")
    found = [path for path in EVERYTHING if private.search(path.read_text(errors="replace"))]
    assert found == []
