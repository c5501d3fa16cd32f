"""The house keeps its shape: arrows of imports, mirrors of modules, modules of one concept."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    p for folder in ("app", "training") for p in (ROOT / folder).rglob("*.py") if p.name != "__init__.py"
)


def test_imports_go_one_way() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_service_needs_only_the_runtime_dependencies() -> None:
    """A process that serves never loads what only training has, not even by accident."""
    heavy = "torch", "transformers", "sklearn", "scipy", "pandas", "datasets", "matplotlib"
    script = f"import sys, app.main, app.__main__; sys.exit(bool(set({heavy!r}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_is_one_concept(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), "a module begins by saying what it is"


def test_no_path_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing to list")
    homes = "/" + "home/", "/" + "root/"
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in (".py", ".md", ".yaml", ".toml", ".sh", ".json") and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not any(home in text for home in homes), f"{name} names a home directory"
