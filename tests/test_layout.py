"""The rooms of the package import only what is below them, and heavy libraries stay lazy."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from boute.routing.table import QualityTable
from boute.routing.training import fit_router

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "boute"

BASE = {
    "boute",
    "errors",
    "files",
    "documents",
    "tables",
    "compiled",
    "least_squares",
    "statistics",
}
NOUNS = BASE | {"profiles", "metrics", "outcome", "spec", "plan"}
CONTEXT = NOUNS | {"workload", "routing", "performance"}
EVALUATE = CONTEXT | {"context", "simulation"}

MAY_IMPORT = {
    "boute": BASE | {"cli"},
    "errors": set(),
    "files": BASE,
    "documents": BASE,
    "tables": BASE,
    "compiled": BASE,
    "least_squares": BASE,
    "statistics": BASE,
    "profiles": BASE,
    "metrics": BASE,
    "outcome": NOUNS,
    "spec": NOUNS,
    "plan": NOUNS,
    "workload": NOUNS,
    "routing": NOUNS | {"workload"},
    "performance": NOUNS | {"workload"},
    "simulation": NOUNS | {"workload", "performance"},
    "context": CONTEXT,
    "world": CONTEXT | {"context"},
    "migration": CONTEXT | {"context", "startup"},
    "running": EVALUATE | {"startup"},
    "pooling": EVALUATE | {"running"},
    "windowed": EVALUATE | {"running", "pooling", "migration"},
    "resamples": CONTEXT | {"context"},
    "simulated": EVALUATE | {"running", "migration"},
    "evaluate": EVALUATE | {"running", "windowed", "migration", "simulated"},
    "calibration": EVALUATE,
    "report": NOUNS,
    "optimizer": EVALUATE
    | {"evaluate", "running", "simulated", "migration", "world", "resamples", "report"},
    "warm": EVALUATE | {"evaluate", "optimizer"},
    "deployments": NOUNS | {"routing", "performance"},
    "bench": NOUNS | {"workload", "routing"},
    "measure": NOUNS | {"performance"},
    "startup": NOUNS | {"performance"},
    "cli": EVALUATE
    | {
        "evaluate",
        "world",
        "report",
        "optimizer",
        "deployments",
        "bench",
        "measure",
        "calibration",
        "startup",
    },
}

# Imported by vLLM in its own process, and by nothing of ours.
IN_VLLM = {"boute.deployments.engines.slot"}

# Imported when a search is asked to run on a Ray cluster, and by no other module on top.
ON_RAY = {"boute.optimizer.ray_workers"}

HEAVY = [
    "botorch",
    "gpytorch",
    "matplotlib",
    "numba",
    "numpy",
    "onnxruntime",
    "pandas",
    "plotly",
    "pyarrow",
    "pymoo",
    "ray",
    "scipy",
    "sklearn",
    "torch",
    "vllm",
]


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package by its dotted name, through the links to sibling folders."""
    for folder, _, files in os.walk(PACKAGE, followlinks=True):
        for file in files:
            if file.endswith(".py"):
                path = Path(folder) / file
                parts = path.relative_to(ROOT).with_suffix("").parts
                yield ".".join(part for part in parts if part != "__init__"), path


def room_of(module: str) -> str:
    """The room of a module, or of a name imported from one (`boute.plan.Plan`)."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "boute"


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a module imports anywhere, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        yield from imported_by(node)


def imported_by(node: ast.AST) -> Iterator[str]:
    """Dotted names that one statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"a relative import in line {node.lineno}"
        # `from boute.cli import check` names a module, `from boute.errors import X` does not.
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_is_in_a_room() -> None:
    rooms = {name.split(".")[1] for name, _ in modules() if "." in name}
    assert rooms - {"__main__"} <= set(MAY_IMPORT)
    assert {"optimizer", "deployments", "profiles"} <= rooms


def test_no_two_rooms_import_each_other() -> None:
    for room, below in MAY_IMPORT.items():
        for other in below - BASE - {room}:
            if room not in BASE | NOUNS:
                assert room not in MAY_IMPORT[other], f"{room} and {other}"


@pytest.mark.parametrize(
    ("module", "path"), [pytest.param(*item, id=item[0]) for item in sorted(modules())]
)
def test_a_module_imports_only_what_is_below_it(module: str, path: Path) -> None:
    room = room_of(module)
    allowed = MAY_IMPORT[room] | {room}
    for name in imported(path):
        if name.split(".")[0] == "boute":
            assert room_of(name) in allowed, f"{module} imports {name}"


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("ray", {"deployments"}),
        ("vllm", {"deployments"}),
        ("torch", {"optimizer"}),
        ("botorch", {"optimizer"}),
        ("gpytorch", {"optimizer"}),
        ("pymoo", {"optimizer"}),
        ("optuna", {"optimizer"}),
        ("numba", {"compiled"}),
        ("plotly", {"report"}),
        ("matplotlib", {"report"}),
        ("onnxruntime", {"routing"}),
        ("tokenizers", {"routing"}),
        ("typer", {"cli"}),
        ("fastapi", {"deployments"}),
        ("aiohttp", {"deployments", "bench", "measure"}),
    ],
)
def test_a_library_is_used_in_its_room_only(library: str, rooms: set[str]) -> None:
    users = {
        module
        for module, path in modules()
        if any(name.split(".")[0] == library for name in imported(path))
    }
    allowed = IN_VLLM | (ON_RAY if library == "ray" else set())
    assert {user for user in users if room_of(user) not in rooms} <= allowed


def test_planning_comes_to_ray_only_when_asked() -> None:
    """Its one module is imported inside a function, and imports Ray inside one itself."""
    for module, path in modules():
        top = ast.parse(path.read_text("utf-8")).body
        names = [
            name
            for node in top
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in imported_by(node)
        ]
        assert not any(name.startswith(tuple(ON_RAY)) for name in names), module
    assert loaded_by("import boute.optimizer.ray_workers") <= {"numpy", "numba", "scipy"}


def loaded_by(statement: str) -> set[str]:
    """Which heavy libraries a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.split()} & set(HEAVY)


def test_the_command_line_starts_without_heavy_libraries() -> None:
    assert loaded_by("import boute.cli.main") == set()


def test_specs_plans_and_cards_are_read_without_heavy_libraries() -> None:
    assert loaded_by("import boute.spec, boute.plan, boute.profiles.catalog") == set()


def test_planning_starts_without_what_serves_or_learns() -> None:
    assert loaded_by("import boute.optimizer.run") <= {"numpy", "numba", "scipy"}


def test_the_numbers_of_a_request_s_path_need_no_torch() -> None:
    assert loaded_by("import boute.routing.router") <= {"numpy"}


def test_a_router_scores_with_numpy_alone(tmp_path: Path) -> None:
    quality = np.tile([[0.0, 1.0], [1.0, 1.0]], (20, 1))
    text = tuple(f"query {row}" for row in range(40))
    table = QualityTable("made", ("a", "b"), quality, np.ones((40, 2)), text=text)
    fit_router(table, [0, 1]).save(tmp_path)
    load = f"Router.load(Path({str(tmp_path)!r}))"
    ask = f"router = {load}; router.score(['hi']); router.predict(['hi'])"
    program = f"from pathlib import Path; from boute.routing.router import Router; {ask}"
    assert loaded_by(program) == {"numpy"}
