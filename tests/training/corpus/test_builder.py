from __future__ import annotations

import errno
import fcntl
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.corpus import CorpusConfig, SourceConfig, TokenShards, build
from training.corpus.writer import ShardWriter
from training.errors import UserError
from training.tokenizer import load_tokenizer


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a corpus but the report, which tells the time."""
    skip = ("report.json", ".lock")
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in skip)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def texts(tmp_path: Path, make_texts: object) -> dict[str, list[str]]:
    """Two sources on disk, ``one.txt`` and ``two.jsonl``; a tenth of the second also stands in the first."""
    one, two = make_texts(400, seed=1), make_texts(300, seed=2)  # type: ignore[operator]
    two[:30] = [text.replace(" ", "  ") for text in one[:30]]
    (tmp_path / "one.txt").write_text("\n\n".join(one), encoding="utf-8")
    (tmp_path / "two.jsonl").write_text(
        "\n".join(json.dumps({"text": text}) for text in two), encoding="utf-8"
    )
    return {"one": one, "two": two}


@pytest.fixture
def config(tmp_path: Path, texts: dict[str, list[str]]) -> CorpusConfig:
    sources = (
        SourceConfig(path=str(tmp_path / "one.txt"), weight=2.0),
        SourceConfig(path=str(tmp_path / "two.jsonl"), language="en"),
    )
    return CorpusConfig(sources=sources, held_out=0.1, workers=2, shard_tokens=4096)


def test_shards_hold_the_tokens_of_the_documents(
    config: CorpusConfig, texts: dict[str, list[str]], tokenizer_file: Path, tmp_path: Path
) -> None:
    manifest = build(config, tokenizer_file, tmp_path / "out", progress=False)
    shards = TokenShards(tmp_path / "out", tokenizer_file, verify=True)
    tokenizer = load_tokenizer(tokenizer_file)
    expected = [
        tuple(tokenizer.encode(t, add_special_tokens=False).ids) for t in [*texts["one"], *texts["two"][30:]]
    ]
    train = [tuple(shards.read(handle).tolist()) for handle in shards.documents("train")]
    held_out = [tuple(shards.read(handle).tolist()) for handle in shards.documents("heldout")]
    assert sorted(train + held_out) == sorted(expected)
    assert not set(train) & set(held_out)
    assert [ids for ids in expected if ids in set(train)] == train  # in the order of the source
    assert 0.05 < len(held_out) / len(expected) < 0.15
    assert len(shards.shards("train", "one")) > 2  # several parts
    one, two = manifest["sources"]["one"], manifest["sources"]["two"]
    assert (one["documents"], one["duplicates_exact"], one["weight"], one["language"]) == (400, 0, 2.0, "zh")
    assert (two["documents"], two["duplicates_exact"], two["weight"], two["language"]) == (270, 30, 1.0, "en")
    assert one["tokens"] == sum(map(len, expected[:400]))
    assert manifest["vocab_size"] == tokenizer.get_vocab_size()


def test_the_result_depends_on_neither_workers_nor_place(
    config: CorpusConfig, tokenizer_file: Path, tmp_path: Path
) -> None:
    build(config, tokenizer_file, tmp_path / "a", progress=False)
    build(replace(config, workers=1), tokenizer_file, tmp_path / "b", progress=False)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_the_content_digest_is_that_of_the_tokens(
    config: CorpusConfig, tokenizer_file: Path, tmp_path: Path
) -> None:
    first = build(config, tokenizer_file, tmp_path / "a", progress=False)
    file = tmp_path / "one.txt"
    os.utime(file, (1, 1))  # another machine, the same text
    again = build(config, tokenizer_file, tmp_path / "b", progress=False)
    assert again["content_sha256"] == first["content_sha256"]
    file.write_text(file.read_text(encoding="utf-8") + "\n\nthe cat sat on the other mat", encoding="utf-8")
    assert (
        build(config, tokenizer_file, tmp_path / "b", progress=False)["content_sha256"]
        != first["content_sha256"]
    )


def test_a_finished_corpus_is_not_built_again(
    config: CorpusConfig, tokenizer_file: Path, tmp_path: Path
) -> None:
    first = build(config, tokenizer_file, tmp_path / "out", progress=False)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.name != ".lock"}
    assert build(config, tokenizer_file, tmp_path / "out", progress=False) == first
    assert before == {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.name != ".lock"
    }


def test_only_what_changed_is_built(config: CorpusConfig, tokenizer_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(config, tokenizer_file, out, progress=False)
    inodes = {path.name: path.stat().st_ino for path in out.glob("*.bin")}
    weighted = replace(config, sources=(config.sources[0], replace(config.sources[1], weight=3.0)))
    assert build(weighted, tokenizer_file, out, progress=False)["sources"]["two"]["weight"] == 3.0
    assert {
        path.name: path.stat().st_ino for path in out.glob("*.bin")
    } == inodes  # a weight changes no token
    only_first = replace(config, sources=config.sources[:1])
    build(only_first, tokenizer_file, out, progress=False)
    assert {p.name: p.stat().st_ino for p in out.glob("*.bin")} == {
        k: v for k, v in inodes.items() if "one" in k
    }
    build(replace(only_first, min_characters=100), tokenizer_file, out, progress=False)
    assert TokenShards(out, verify=True).manifest["sources"]["one"]["documents"] < 400


def test_a_changed_tokenizer_never_meets_old_ids(
    config: CorpusConfig, tokenizer_file: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "out", tmp_path / "tokenizer.json"
    build(config, tokenizer_file, out, progress=False)
    old = contents(out)
    values = json.loads(tokenizer_file.read_text(encoding="utf-8"))
    vocabulary = values["model"]["vocab"]
    vocabulary["我"], vocabulary["喜"] = vocabulary["喜"], vocabulary["我"]
    other.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(UserError, match="build the corpus again"):
        TokenShards(out, other)
    build(config, other, out, progress=False)
    shards = TokenShards(out, other, verify=True)
    assert set(contents(out)) == set(old)
    assert any(contents(out)[shard.path.name] != old[shard.path.name] for shard in shards.all_shards)
    build(config, tokenizer_file, out, progress=False)
    assert contents(out) == old


def test_near_duplicates(tokenizer_file: Path, tmp_path: Path, make_texts: object) -> None:
    texts = make_texts(60, words_each=300)  # type: ignore[operator]
    (tmp_path / "a.txt").write_text("\n".join(texts), encoding="utf-8")
    (tmp_path / "b.txt").write_text("\n".join(f"{text} more" for text in texts[:20]), encoding="utf-8")
    a, b = (SourceConfig(path=str(tmp_path / name)) for name in ("a.txt", "b.txt"))
    config = CorpusConfig(sources=(a, b), deduplicate="near", workers=1)
    counts = build(config, tokenizer_file, tmp_path / "near", progress=False)["sources"]
    assert (counts["a"]["duplicates_near"], counts["b"]["duplicates_near"]) == (0, 20)
    # The same where the first source was built earlier, and its documents are known by their digests alone.
    build(replace(config, sources=(a,)), tokenizer_file, tmp_path / "later", progress=False)
    assert build(config, tokenizer_file, tmp_path / "later", progress=False)["sources"] == counts
    config = replace(config, sources=(a, replace(b, deduplicate="exact")))
    counts = build(config, tokenizer_file, tmp_path / "near", progress=False)["sources"]
    assert (counts["b"]["duplicates_near"], counts["b"]["documents"]) == (0, 20)


def test_duplicates_may_stay(tokenizer_file: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the same sentence again\n" * 5)
    config = CorpusConfig(
        sources=(SourceConfig(path=str(tmp_path / "a.txt")),), deduplicate="none", held_out=0, workers=1
    )
    assert build(config, tokenizer_file, tmp_path / "out", progress=False)["sources"]["a"]["documents"] == 5
    config = replace(config, deduplicate="exact")
    assert build(config, tokenizer_file, tmp_path / "out", progress=False)["sources"]["a"]["documents"] == 1


def test_the_report_counts_everything(
    tokenizer_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        "我 喜 欢 吃 苹 果 我 喜 欢 吃 苹 果",
        "short",
        "the cat sat on the mat today",
        "the cat sat on the mat today",
    ]
    (tmp_path / "a.txt").write_bytes("\n".join(lines).encode() + b"\nthe dog \xff sat on the mat again\n")
    source = SourceConfig(path=str(tmp_path / "a.txt"), documents="line")
    build(CorpusConfig(sources=(source,), held_out=0, workers=1), tokenizer_file, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["sources"]["a"]
    assert (report["read"], report["documents"], report["short"], report["duplicates_exact"]) == (5, 3, 1, 1)
    assert report["languages"] == {"zh": 1, "en": 2, "other": 0}
    assert report["broken_lines"] == 1
    assert report["document_modes"] == {"line": 1}
    printed = capsys.readouterr().out
    assert "a.txt:5: bytes ff are not utf-8; dropped" in printed
    assert "total" in printed


def test_mistakes_leave_no_manifest(tokenizer_file: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("a\nb\n")
    (tmp_path / "blank.txt").write_text("\n \n\n")
    (tmp_path / "bad.jsonl").write_text('{"text": "long enough to be kept"}\nno json\n')
    for sources, message in [
        ((), "empty; name at least one file"),
        (("short.txt",), "no document is left of 2 read from short"),
        (("blank.txt",), "source 'blank': no document in it"),
        (("nowhere.txt",), "nothing at"),
        (("bad.jsonl",), r"bad\.jsonl:2: not JSON"),
    ]:
        out = tmp_path / "out"
        config = CorpusConfig(
            sources=tuple(SourceConfig(path=str(tmp_path / name)) for name in sources), workers=1
        )
        with pytest.raises(UserError, match=message):
            build(config, tokenizer_file, out, progress=False)
        assert not list(out.glob("manifest.json"))
        assert not list(out.glob(".*writing"))


def test_a_second_build_in_the_same_place_is_refused(
    config: CorpusConfig, tokenizer_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(
            UserError, match="out: another process is writing there; wait for it to end, or cho"
        ):
            build(config, tokenizer_file, tmp_path / "out", progress=False)


def test_a_full_disk_is_one_clear_line_and_the_build_goes_on_later(
    config: CorpusConfig, tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(config, tokenizer_file, tmp_path / "reference", progress=False)
    out, written = tmp_path / "out", 0
    add = ShardWriter.add

    def limited(writer: ShardWriter, ids: np.ndarray) -> None:
        nonlocal written
        written += len(ids)
        if written > 10_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        add(writer, ids)

    with monkeypatch.context() as patched:
        patched.setattr(ShardWriter, "add", limited)
        with pytest.raises(UserError, match="the disk is full"):
            build(config, tokenizer_file, out, progress=False)
    assert not list(out.glob(".*.bin*"))
    kept = {path.name: path.stat().st_ino for path in out.glob("*.bin")}
    assert kept  # the parts finished before
    build(config, tokenizer_file, out, progress=False)
    assert {name: (out / name).stat().st_ino for name in kept} == kept
    assert contents(out) == contents(tmp_path / "reference")


def test_progress_shows_speed_and_documents(
    config: CorpusConfig, tokenizer_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(config, tokenizer_file, tmp_path / "out")
    shown = capsys.readouterr().err
    assert "MB text/s" in shown
    assert "documents" in shown
    assert "one" in shown
