"""The import rules of docs/architecture.md, and the limits of the code's shape, read from the syntax tree."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for folder in ("fashion_udf", "training", "jobs")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
TESTS = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "tests").glob("*.py"))}

#: Loaded only inside the functions that need them: an executor imports the library in every Python worker.
HEAVY = (
    "tensorflow",
    "keras",
    "openvino",
    "pyspark",
    "boto3",
    "botocore",
    "petastorm",
    "sklearn",
    "matplotlib",
    "nncf",
)
#: The UDF, the run, and the code that publishes; training shares the decoder and the tokenizer, and nothing of these.
SCORING_ONLY = (
    *("udf", "tagging", "planning", "plan", "chunks", "staging", "assembly", "audit", "gates", "candidate"),
    *("run_tables", "selection", "overrides", "estimate", "snapshot", "snapshot_diff", "snapshot_list", "commit"),
    *("commit_log", "store", "marks", "rollback", "retention", "catalog_table", "report"),
)
MAX_FILE_LINES = 250
MAX_FUNCTION_LINES = 40


def imported(tree: ast.AST) -> set[str]:
    """Every module that a file names in an import, wherever in the file it is."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that these tests can read them"
            module = node.module or ""
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def imports_any(tree: ast.AST, modules: tuple[str, ...]) -> list[str]:
    """Those imports of a file that are one of `modules` or lie below it."""
    return sorted(name for name in imported(tree) if any(f"{name}.".startswith(f"{module}.") for module in modules))


def library_module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


LIBRARY = {library_module(path): tree for path, tree in CODE.items() if path.startswith("fashion_udf/")}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions, and methods of classes, that are named without a leading underscore; nested functions are private."""
    bodies = [tree.body] + [
        node.body for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    for body in bodies:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                yield node


def untyped(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = function.args
    named = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
    starred = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    missing = [a for a in named + starred if a.annotation is None and a.arg not in ("self", "cls")]
    return bool(missing) or function.returns is None


@pytest.mark.parametrize("path", [path for path in CODE if path.startswith("fashion_udf/")])
def test_the_library_imports_nothing_from_the_jobs_or_training(path: str) -> None:
    assert imports_any(CODE[path], ("jobs", "training")) == []


@pytest.mark.parametrize("path", [path for path in CODE if path.startswith("training/")])
def test_training_never_imports_the_udf_the_run_or_the_snapshot_code(path: str) -> None:
    assert imports_any(CODE[path], ("jobs", *(f"fashion_udf.{name}" for name in SCORING_ONLY))) == []


def test_petastorm_is_named_in_one_file() -> None:
    assert [path for path, tree in CODE.items() if imports_any(tree, ("petastorm",))] == ["training/dataset.py"]


def test_the_library_has_no_import_cycle() -> None:
    graph = {name: {other for other in imported(tree) if other in LIBRARY} - {name} for name, tree in LIBRARY.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_importing_the_library_loads_nothing_heavy_and_starts_no_thread() -> None:
    script = (
        "import importlib, sys, threading\n"
        f"for name in {sorted(LIBRARY)!r}: importlib.import_module(name)\n"
        f"loaded = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "sys.stdout.write(f'{loaded} {threading.active_count()}')"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[] 1"


@pytest.mark.parametrize("path", CODE)
def test_no_foreign_data_is_unpickled_and_no_table_is_overwritten_in_place(path: str) -> None:
    tree = CODE[path]
    assert imports_any(tree, ("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve")) == []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = {call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func) for call in calls}
    assert named & {"enable_unsafe_deserialization", "eval", "exec", "overwritePartitions", "insertInto"} == set()
    for call in calls:
        assert not (ast.unparse(call.func).endswith(".mode") and "overwrite" in ast.unparse(call).lower())
        for keyword in call.keywords:
            value = ast.unparse(keyword.value)
            assert (keyword.arg, value) not in {("allow_pickle", "True"), ("safe_mode", "False")}
            assert not (keyword.arg == "mode" and "overwrite" in value.lower())


@pytest.mark.parametrize("path", CODE)
def test_a_file_opens_with_a_docstring_and_stays_short(path: str) -> None:
    assert ast.get_docstring(CODE[path])
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(CODE[path])}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", CODE)
def test_functions_are_typed_and_public_ones_have_a_docstring(path: str) -> None:
    assert [node.name for node in functions(CODE[path]) if untyped(node)] == []
    assert [node.name for node in public_functions(CODE[path]) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", TESTS)
def test_a_test_file_opens_with_a_docstring(path: str) -> None:
    assert ast.get_docstring(ast.parse(TESTS[path].read_text(encoding="utf-8")))


def test_the_architecture_page_has_a_row_for_every_file_of_the_library() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = {path.replace("fashion_udf/engines/__init__.py", "fashion_udf/engines/") for path in CODE}
    own_row = {path for path in files if path.startswith("fashion_udf/") and path.count("/") == 1}
    assert sorted(path for path in own_row - {"fashion_udf/__init__.py"} if f"`{path}`" not in page) == []
