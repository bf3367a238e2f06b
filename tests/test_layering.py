"""The import rules of docs/architecture.md, and the limits of the code's shape, read from the syntax tree."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.submit import REPOSITORY

CODE = {
    path.relative_to(REPOSITORY).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for folder in ("fashion_udf", "training", "jobs")
    for path in sorted((REPOSITORY / folder).rglob("*.py"))
}
TESTS = {
    path.relative_to(REPOSITORY).as_posix(): path
    for path in sorted((REPOSITORY / "tests").rglob("*.py"))
    if path.name != "__init__.py"
}

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
    "jinja2",
    "starlette",
    "uvicorn",
    "faiss",
)
#: What a package or file may import of ours, besides itself: prefix -> allowed prefixes. The longest prefix counts.
_GROUND = (
    "fashion_udf.errors",
    "fashion_udf.schema",
    "fashion_udf.files",
    "fashion_udf.progress",
    "fashion_udf.repeated",
    "fashion_udf.console",
    "fashion_udf.sections",
    "fashion_udf.s3",
)
_BASE = (*_GROUND, "fashion_udf.config", "fashion_udf.photos", "fashion_udf.spark")
_RUN = (*_BASE, "fashion_udf.model", "fashion_udf.catalog", "fashion_udf.table", "fashion_udf.scoring")
_PAGES = (*_RUN, "fashion_udf.pipeline")
#: What training shares with scoring. Never `fashion_udf.spark`: the caller opens the session of a training set.
_SHARED = (
    *_GROUND,
    "fashion_udf.config",
    "fashion_udf.cli",
    "fashion_udf.samples",
    "fashion_udf.photos",
    "fashion_udf.model",
)
_DATA, _EVALUATION, _FITTING, _RELEASE = "training.data", "training.evaluation", "training.fitting", "training.release"
ALLOWED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_GROUND, _GROUND),
    "fashion_udf.samples": ("fashion_udf.errors", "fashion_udf.files"),
    **dict.fromkeys(("fashion_udf.config", "fashion_udf.photos", "fashion_udf.spark", "fashion_udf.cli"), _GROUND),
    **dict.fromkeys(("fashion_udf.model", "fashion_udf.catalog", "fashion_udf.table"), _BASE),
    "fashion_udf.scoring": (*_BASE, "fashion_udf.model"),
    "fashion_udf.pipeline": _RUN,
    "fashion_udf.similar": (*_RUN, "fashion_udf.pipeline"),
    _DATA: _SHARED,
    _EVALUATION: (*_SHARED, _DATA),
    _FITTING: (*_SHARED, _DATA, _EVALUATION),
    _RELEASE: (*_SHARED, _DATA, _EVALUATION),
    "training": (*_SHARED, _DATA, _EVALUATION, _FITTING, _RELEASE),  # the commands
    "fashion_udf.pages": _PAGES,
    "fashion_udf.api": (*_PAGES, "fashion_udf.pages", "fashion_udf.similar"),
    "fashion_udf": ("fashion_udf.api",),
    "fashion_udf.__main__": ("fashion_udf.commands",),
    "fashion_udf.commands": (
        *_PAGES,
        "fashion_udf.cli",
        "fashion_udf.samples",
        "fashion_udf.pages",
        "fashion_udf.similar",
    ),
    "jobs": ("fashion_udf.cli", "fashion_udf.commands"),
}
MAX_FILE_LINES = 250
MAX_FUNCTION_LINES = 40


def imported(path: str) -> set[str]:
    """Every module that a file names in an import, wherever in the file it is."""
    names: set[str] = set()
    for node in ast.walk(CODE[path]):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # Relative in training alone: the wheel holds it under another name.
            parents = path.split("/")[: -node.level] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def imports_any(path: str, modules: tuple[str, ...]) -> list[str]:
    """Those imports of a file that are one of `modules` or lie below it."""
    return sorted(name for name in imported(path) if any(below(name, module) for module in modules))


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def below(name: str, prefix: str) -> bool:
    return f"{name}.".startswith(f"{prefix}.")


LIBRARY = {module_name(path): path for path in CODE if path.startswith("fashion_udf/")}


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


@pytest.mark.parametrize("path", CODE)
def test_a_file_imports_only_what_its_package_may_stand_on(path: str) -> None:
    modules = {module_name(other) for other in CODE if not other.endswith("__init__.py")}
    prefix = max((prefix for prefix in ALLOWED if below(module_name(path), prefix)), key=len, default="")
    allowed = (prefix, *ALLOWED.get(prefix, ()))
    ours = imported(path) & modules
    assert sorted(name for name in ours if not any(below(name, other) for other in allowed)) == []


def test_petastorm_is_named_in_one_file() -> None:
    assert [path for path in CODE if imports_any(path, ("petastorm",))] == ["training/data/training_batches.py"]


def test_the_library_has_no_import_cycle() -> None:
    # `from fashion_udf import config` needs nothing of the root package, which loads the API only when asked for it.
    modules = {name: path for name, path in LIBRARY.items() if name != "fashion_udf"}
    graph = {name: imported(path) & modules.keys() - {name} for name, path in modules.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_importing_the_library_loads_nothing_heavy_and_starts_no_thread() -> None:
    script = (
        "import importlib, sys, threading\n"
        f"for name in {sorted(LIBRARY)!r}: importlib.import_module(name)\n"
        f"loaded = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "sys.stdout.write(f'{loaded} {threading.active_count()}')"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[] 1"


@pytest.mark.parametrize("path", CODE)
def test_no_foreign_data_is_unpickled_and_no_table_is_overwritten_in_place(path: str) -> None:
    tree = CODE[path]
    assert imports_any(path, ("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve")) == []
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
    assert len((REPOSITORY / path).read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(CODE[path])}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", CODE)
def test_functions_are_typed_and_public_ones_have_a_docstring(path: str) -> None:
    assert [node.name for node in functions(CODE[path]) if untyped(node)] == []
    undocumented = [node for node in public_functions(CODE[path]) if not ast.get_docstring(node)]
    assert [node.name for node in undocumented if "overload" not in map(ast.unparse, node.decorator_list)] == []


@pytest.mark.parametrize("path", TESTS)
def test_a_test_file_opens_with_a_docstring(path: str) -> None:
    assert ast.get_docstring(ast.parse(TESTS[path].read_text(encoding="utf-8")))


def test_the_architecture_page_has_a_row_for_every_file_of_the_library() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = [path for path in CODE if path.startswith("fashion_udf/") and not path.endswith("__init__.py")]
    assert [
        path for path in files if f"`{path}`" not in page and f"`{Path(path).parent.as_posix()}/`" not in page
    ] == []
