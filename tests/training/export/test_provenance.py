"""What a bundle and its card say of where it comes from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.bundle_files import read_bundle
from training.export import export
from training.export.config import ExportConfig
from training.export.provenance import fine_tuning_data, provenance


def test_the_card_names_tables_and_machine_of_fine_tuning(
    material: Path,
    settings: dict,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.tsv").touch()
    checkpoint = tmp_path / "tuned"
    shutil.copytree(material / "classifier", checkpoint)
    paths = ("/some/where/waimai/train.tsv", "train.tsv", "gone.tsv")
    tables = [{"path": path, "rows": 9, "sha256": "ab" * 32} for path in paths]
    record = {"data": {"train": tables}, "hardware": "a small one"}
    (checkpoint / "finetune.json").write_text(json.dumps(record))
    config = ExportConfig(
        name="x",
        checkpoint=str(checkpoint),
        models_dir=str(tmp_path / "models"),
        hardware="a large one",
        **settings,
    )
    bundle = read_bundle(export(config, progress=False))
    known, card = bundle.manifest.provenance, (bundle.path / "README.md").read_text(encoding="utf-8")
    names = ("waimai/train.tsv", f"{tmp_path.name}/train.tsv", "gone.tsv")
    assert known.data == [f"{name}: 9 rows, sha256 {'ab' * 8}" for name in names]
    assert known.licence == ""
    assert capsys.readouterr().out.count("licence: not stated, and the model card says so") == 1
    assert "- waimai/train.tsv: 9 rows" in card
    assert "- hardware: a large one, then a small one\n" in card


def test_text_of_made_errors_and_of_a_teacher_is_named_too(tmp_path: Path) -> None:
    kinds = ("unlabelled", "dev", "train", "corruption")
    data = {kind: [{"path": f"/x/{kind}.txt", "rows": 2, "sha256": "ab" * 32}] for kind in kinds}
    (tmp_path / "finetune.json").write_text(json.dumps({"data": data}))
    named = [line.split(":")[0] for line in fine_tuning_data(tmp_path)]
    assert named == ["x/train.txt", "x/corruption.txt", "x/unlabelled.txt"]


def test_what_the_first_of_two_fine_tunes_learnt_from_comes_first(tmp_path: Path) -> None:
    before = None
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        record: dict = {"data": {"train": [{"path": f"/x/{name}.tsv", "rows": 2, "sha256": "ab" * 32}]}}
        record |= {} if before is None else {"config": {"checkpoint": str(before)}}
        (tmp_path / name / "finetune.json").write_text(json.dumps(record))
        before = tmp_path / name
    assert [line.split(":")[0] for line in fine_tuning_data(tmp_path / "two")] == ["x/one.tsv", "x/two.tsv"]
    # Written in turns, the two lead to each other.
    record = json.loads((tmp_path / "one" / "finetune.json").read_text())
    record["config"] = {"checkpoint": str(tmp_path / "two")}
    (tmp_path / "one" / "finetune.json").write_text(json.dumps(record))
    assert len(fine_tuning_data(tmp_path / "two")) == 2


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"data": []}'])
def test_a_checkpoint_from_elsewhere(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "finetune.json").write_text(text)
    config = ExportConfig(name="x", checkpoint=str(tmp_path), hardware="one, then two", data=["news"])
    assert fine_tuning_data(tmp_path) == []
    known = provenance(config, tmp_path)
    assert (known.hardware, known.data) == ("one, then two", ["news"])


def test_one_machine_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "finetune.json").write_text('{"hardware": "two"}')
    config = ExportConfig(name="x", checkpoint=str(tmp_path), hardware="one, then two")
    assert provenance(config, tmp_path).hardware == "one, then two"
