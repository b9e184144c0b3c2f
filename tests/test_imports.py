"""Who may import whom: folders in one direction, a gateway without the training stack, and stages
that name in dvc.yaml every module they run."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "data": {"data"},
    "features": {"data", "features"},
    "router_model": {"data", "features", "router_model"},
    "training": {"data", "features", "router_model", "training"},
    "eval": {"data", "features", "router_model", "training", "eval"},
}
FOLDERS = [*MAY_IMPORT, "serve"]
SERVE_MAY_IMPORT = {
    *("router_model.rule", "router_model.bundle", "router_model.runtime", "router_model.protobuf"),
    *("router_model.spec", "router_model.manifest", "router_model.layout"),
    *("router_model.rules", "router_model.rules_read"),
    *("data.tiers", "data.messages", "data.errors", "data.files", "router_model.swap"),
    *("data.aligned", "features.words"),
}
# numpy everywhere, onnxruntime where graphs run; the rest of a gateway is the standard library
LEAN = {"numpy"}
LEAN_AND_ONNXRUNTIME = {"router_model.runtime"}
# They hold no computation: errors say what is wrong, params are compared by value.
NOT_DEPENDENCIES = {"data.errors", "data.params", *FOLDERS}
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
RUN = yaml.safe_load((ROOT / "run.yaml").read_text(encoding="utf-8"))["run"]


def modules() -> dict[str, Path]:
    """Every module below the six folders, by its name without `tierwise.`."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path, *, at_import_only: bool) -> set[str]:
    """Absolute names that a file imports; `at_import_only` leaves out what functions import."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import, line {node.lineno}"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif at_import_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        elif at_import_only and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.orelse:
                visit(child)
            return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return names


def own(names: set[str]) -> set[str]:
    """Of imported names, this project's modules: `data.errors` for one of its classes."""
    inner = {n.removeprefix("tierwise.") for n in names if n.startswith("tierwise.")}
    return {n if n in MODULES else n.rpartition(".")[0] for n in inner} - {""}


def foreign(names: set[str]) -> set[str]:
    """Of imported names, the top names of other projects."""
    tops = {name.partition(".")[0] for name in names}
    return tops - set(sys.stdlib_module_names) - {"tierwise", "__future__"}


def reached(start: str, *, at_import_only: bool = True) -> set[str]:
    """`start` and every module of this project that importing (or running) it imports."""
    found, left = set(), [start]
    while left:
        name = left.pop()
        if name in found or name not in MODULES:
            continue
        found.add(name)
        left.extend(own(imports(MODULES[name], at_import_only=at_import_only)))
        left.append(name.rpartition(".")[0])
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_package_is_a_link_to_the_root_folder_of_its_name(folder: str) -> None:
    """A checkout without symbolic links builds a wheel without packages: fail before that."""
    link = ROOT / "src" / "tierwise" / folder
    assert link.is_symlink()
    assert link.resolve() == ROOT / folder
    assert (link / "__init__.py").is_file()


def test_no_package_is_left_out_of_a_wheel() -> None:
    """Only folders with an __init__.py are packaged."""
    for path in MODULES.values():
        assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"


@pytest.mark.parametrize("name", [n for n in MODULES if n.partition(".")[0] in MAY_IMPORT])
def test_folders_import_in_one_direction(name: str) -> None:
    folders = {m.partition(".")[0] for m in own(imports(MODULES[name], at_import_only=False))}
    assert folders <= MAY_IMPORT[name.partition(".")[0]]


@pytest.mark.parametrize("name", [n for n in MODULES if n.partition(".")[0] == "serve"])
def test_serve_imports_only_what_a_gateway_has(name: str) -> None:
    wanted = own(imports(MODULES[name], at_import_only=False))
    others = {module for module in wanted if module.partition(".")[0] != "serve"}
    assert others <= SERVE_MAY_IMPORT


@pytest.mark.parametrize("name", [*sorted(SERVE_MAY_IMPORT & set(MODULES)), "serve"])
def test_what_a_gateway_imports_needs_numpy_and_onnxruntime_only(name: str) -> None:
    for module in reached(name):
        allowed = LEAN | ({"onnxruntime"} if module in LEAN_AND_ONNXRUNTIME else set())
        found = foreign(imports(MODULES[module], at_import_only=True))
        assert found <= allowed, f"{module}, reached from {name}, imports {found - allowed}"


def test_importing_serve_loads_no_training_library() -> None:
    heavy = (
        "{'pandas', 'pyarrow', 'sklearn', 'lightgbm', 'torch', 'mlflow', 'onnx', 'yaml', 'scipy'}"
    )
    code = f"import sys, tierwise.serve; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_names_the_modules_it_runs_and_no_others(stage: str) -> None:
    """A module left out would leave stale results behind a change; one too many runs in vain."""
    module = STAGES[stage]["cmd"].split()[2].removeprefix("tierwise.")
    runs = reached(module, at_import_only=False) - NOT_DEPENDENCIES
    named = {dep.replace("${run.source_file}", RUN["source_file"]) for dep in STAGES[stage]["deps"]}
    wanted = {str(MODULES[name].relative_to(ROOT)) for name in runs}
    assert {dep for dep in named if dep.endswith(".py")} == wanted


def names_of(entries: list[str | dict[str, object]]) -> set[str]:
    """Names of the run's files (not folders) in a list of dependencies or outputs."""
    paths = [Path(entry if isinstance(entry, str) else next(iter(entry))) for entry in entries]
    return {path.name for path in paths if path.parts[0] == "artifacts" and path.suffix}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_names_the_files_it_reads_and_no_others(stage: str) -> None:
    every = {name for one in STAGES.values() for name in names_of(one["outs"])} | {"metrics.json"}
    module = STAGES[stage]["cmd"].split()[2].removeprefix("tierwise.")
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & every
    written = names_of(STAGES[stage]["outs"] + STAGES[stage].get("metrics", []))
    assert words - written == names_of(STAGES[stage]["deps"])
