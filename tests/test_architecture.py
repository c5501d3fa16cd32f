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

_TEST_OF = {
    "training/finetune/ngrams.py": "tests/training/finetune/test_finetune.py",
    "app/api/middleware/headers.py": "tests/app/api/middleware/test_observe.py",
    "app/api/models.py": "tests/app/test_live.py",
    "app/api/schemas/detect_replaced.py": "tests/app/api/schemas/test_items.py",
    "app/api/schemas/health.py": "tests/app/api/routes/test_health.py",
    "app/api/schemas/models.py": "tests/app/api/routes/test_models.py",
    "app/api/schemas/summarize.py": "tests/app/api/schemas/test_items.py",
    "app/api/schemas/tokenize.py": "tests/app/api/routes/test_tokenize.py",
    "app/registry/info.py": "tests/app/registry/test_registry.py",
    "app/registry/agreement.py": "tests/app/registry/test_loading.py",
    "app/runtime/onnx_session.py": "tests/app/runtime/test_sessions.py",
    "app/runtime/opening.py": "tests/app/runtime/test_sessions.py",
    "app/runtime/openvino_session.py": "tests/app/runtime/test_sessions.py",
    "app/scheduler/engine.py": "tests/app/scheduler/test_scheduler.py",
    "app/scheduler/errors.py": "tests/app/test_errors.py",
    "app/scheduler/observer.py": "tests/app/scheduler/test_scheduler.py",
    "app/tasks/detect/results.py": "tests/app/tasks/detect/test_task.py",
    "app/tasks/summarize/results.py": "tests/app/tasks/summarize/test_task.py",
    "app/text/chinese_sentences.py": "tests/app/text/test_sentences.py",
    "app/text/latin_sentences.py": "tests/app/text/test_sentences.py",
    "app/text/sequence.py": "tests/app/text/test_encoder.py",
    "training/bench/pretrain.py": "tests/training/bench/test_command.py",
    "training/bench/serve/__main__.py": "tests/training/bench/test_serve_bench.py",
    "training/bench/serve/cells.py": "tests/training/bench/test_serve_report.py",
    "training/bench/serve/engine.py": "tests/training/bench/test_serve_report.py",
    "training/bench/serve/environments.py": "tests/training/bench/test_serve_subjects.py",
    "training/bench/serve/footprint.py": "tests/training/bench/test_serve_bench.py",
    "training/bench/serve/goals.py": "tests/training/bench/test_serve_report.py",
    "training/bench/serve/model.py": "tests/training/bench/test_serve_bench.py",
    "training/bench/serve/results.py": "tests/training/bench/test_serve_report.py",
    "training/bench/serve/rounds.py": "tests/training/bench/test_serve_bench.py",
    "training/corpus/source_build.py": "tests/training/corpus/test_builder.py",
    "training/corpus/writer.py": "tests/training/corpus/test_builder.py",
    "training/electra/config.py": "tests/training/electra/test_model.py",
    "training/errors.py": "tests/training/test_cli.py",
    "training/finetune/earlier.py": "tests/training/finetune/test_finetune.py",
    "training/finetune/scorer_command.py": "tests/training/finetune/test_scorer.py",
    "training/finetune/scorer_config.py": "tests/training/finetune/test_scorer.py",
    "training/finetune/scorer_fit.py": "tests/training/finetune/test_scorer.py",
    "training/finetune/seed_run.py": "tests/training/finetune/test_finetune.py",
    "training/pretrain/checkpoint.py": "tests/training/pretrain/test_resume.py",
    "training/pretrain/place.py": "tests/training/pretrain/test_distributed.py",
    "training/pretrain/log.py": "tests/training/pretrain/test_loop.py",
    "training/pretrain/meter.py": "tests/training/pretrain/test_loop.py",
    "training/pretrain/parallel.py": "tests/training/pretrain/test_distributed.py",
    "training/pretrain/saving.py": "tests/training/pretrain/test_resume.py",
    "training/pretrain/setup.py": "tests/training/pretrain/test_loop.py",
    "training/pretrain/words.py": "tests/training/pretrain/test_batches.py",
    "training/run/bundles.py": "tests/training/run/test_again.py",
    "training/run/everything.py": "tests/training/run/test_command.py",
    "training/synthetic.py": "tests/training/pretrain/test_loop.py",
    "training/tables/columns.py": "tests/training/tables/test_reading.py",
    "training/tables/examples.py": "tests/training/tables/test_reading.py",
    "training/tables/rows.py": "tests/training/tables/test_reading.py",
    "training/pretrain/update.py": "tests/training/pretrain/test_recorded.py",
}
"""Modules that are tested where they are used, or together with their neighbours."""
# Each runs in an environment of its own, where the tests are not; the benchmark itself checks its answers.
_PEERS = "training/bench/serve/peers/"


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


def _test_of(module: str) -> str:
    """The test file that stands where ``module`` does; those of ``bench/serve`` lie in one folder."""
    folder, name = module.rsplit("/", 1)
    if folder == "training/bench/serve":
        return f"tests/training/bench/test_serve_{name}"
    return f"tests/{folder}/test_{name}"


def test_every_module_has_its_mirror() -> None:
    modules = [path.relative_to(ROOT).as_posix() for path in MODULES]
    looked_at = [module for module in modules if not module.startswith(_PEERS)]
    wanted = {module: _TEST_OF.get(module, _test_of(module)) for module in looked_at}
    assert [module for module, test in wanted.items() if not (ROOT / test).is_file()] == []
    # The list stays short: none of a module that is gone, none where the mirror has come.
    stale = [m for m in _TEST_OF if m not in looked_at or (ROOT / _test_of(m)).is_file()]
    assert stale == []


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
