"""Made-up errors: marked where the text was changed, as often as asked, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import UserError
from training.finetune.config import CorruptionConfig
from training.finetune.confusion import Confusions, blurred, build_confusions, read_shape_sets
from training.finetune.corruption import Edit, apply_edits, corrupt, corrupted_examples, pieces_of
from training.tables import REPLACED

TEXTS = [
    ("a", "今天天气很好，他们再次在公园里做作业，目的地是第一个。"),
    ("b", "The weather was quite nice and their house is over there."),
    ("c", "我们的师傅是老师，事实上市场上十分热闹，城市里实在太吵。"),
] * 40


@pytest.fixture(scope="module")
def confusions() -> Confusions:
    return build_confusions(text for _, text in TEXTS)


def _config(**changes: object) -> CorruptionConfig:
    return replace(CorruptionConfig(text=("x",), corrupted_share=1.0), **changes)


@given(st.text(max_size=30), st.data())
def test_edits_are_found_at_their_spans(text: str, data: st.DataObject) -> None:
    bounds = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True)))
    edits = [
        Edit(a, b, data.draw(st.text(max_size=3))) for a, b in zip(bounds[::2], bounds[1::2], strict=False)
    ]
    edited, spans = apply_edits(text, edits)
    assert [edited[start:end] for start, end in spans] == [edit.replacement for edit in edits]
    for edit, (start, end) in reversed(list(zip(edits, spans, strict=True))):
        edited = edited[:start] + text[edit.start : edit.end] + edited[end:]
    assert edited == text


def test_what_is_not_marked_is_unchanged(confusions: Confusions) -> None:
    examples = corrupt(TEXTS, _config(error_rate=0.2), confusions, seed=1)
    for (_, text), example in zip(TEXTS, examples, strict=True):
        assert example.labels == (REPLACED,) * len(example.units)
        at = start = 0
        for first, last in example.units:
            kept = example.text[at:first]
            assert text[start : start + len(kept)] == kept
            start = start + len(kept) + (last - first) if "天" in text or "师" in text else -1
            if start < 0:
                break
            at = last
    assert sum(bool(example.units) for example in examples) == len(examples)


def test_errors_are_as_frequent_as_asked(confusions: Confusions) -> None:
    chinese = [row for row in TEXTS if row[0] != "b"]
    examples = corrupt(chinese, _config(error_rate=0.2, swapped=0.0), confusions)
    sites = sum(sum("\u4e00" <= c <= "\u9fff" for c in text) for _, text in chinese)
    assert sum(len(example.units) for example in examples) == pytest.approx(0.2 * sites, rel=0.12)
    half = corrupt(chinese, _config(corrupted_share=0.5), confusions)
    assert sum(bool(example.units) for example in half) == pytest.approx(len(half) / 2, rel=0.35)


def test_the_same_seed_makes_the_same_errors(confusions: Confusions) -> None:
    assert corrupt(TEXTS, _config(), confusions, seed=3) == corrupt(TEXTS, _config(), confusions, seed=3)
    assert corrupt(TEXTS, _config(), confusions, seed=3) != corrupt(TEXTS, _config(), confusions, seed=4)
    assert len(corrupt(TEXTS, _config(copies=2), confusions)) == 2 * len(TEXTS)


def test_sound_alikes_sound_alike(confusions: Confusions) -> None:
    assert {"市", "事", "是", "十", "实", "师"} <= {
        *confusions.sound["是"],
        *confusions.sound["师"],
        "是",
        "师",
    }
    assert "是" not in confusions.sound["是"]
    random = Random(0)
    found = Counter(confusions.sound_alike("是", random) for _ in range(200))
    assert "是" not in found
    assert set(found) <= {*confusions.sound["是"], *confusions.near["是"]}
    assert confusions.sound_alike("龘", random) is None


@pytest.mark.parametrize(
    ("one", "other"), [("zhang", "zan"), ("shi", "si"), ("ling", "lin"), ("cheng", "cen"), ("ma", "ma")]
)
def test_blurred_readings(one: str, other: str) -> None:
    assert blurred(one) == blurred(other)


def test_english_errors_change_the_word(confusions: Confusions) -> None:
    english = [row for row in TEXTS if row[0] == "b"]
    for kind in ("sound_alike", "swapped", "random"):
        zero = dict.fromkeys(("sound_alike", "shape_alike", "random", "generator", "swapped"), 0.0)
        for example in corrupt(english, _config(**{**zero, kind: 1.0}), confusions):
            assert example.text != english[0][1]
            assert all(
                "a" <= c.lower() <= "z" or c == "'" for s, e in example.units for c in example.text[s:e]
            )
    assert confusions.wrong_word("Their", Random(0)) in ("There", "They're")


def test_a_sampler_is_asked_for_its_share_only(confusions: Confusions) -> None:
    asked: list[tuple[str, list[tuple[int, int]]]] = []

    def sampler(jobs: list) -> list:
        asked.extend((text, list(spans)) for text, spans in jobs)
        return [["好" if at == 0 else None for at in range(len(spans))] for _, spans in jobs]

    config = _config(sound_alike=0.0, random=0.0, swapped=0.0, generator=1.0, error_rate=0.2)
    examples = corrupt(TEXTS[:3], config, confusions, sampler)
    assert [text for text, _ in asked] == [text for _, text in TEXTS[:3]]
    assert [len(example.units) for example in examples] == [1, 1, 1]
    assert all(example.text[slice(*example.units[0])] == "好" for example in examples)


def test_look_alikes_come_from_the_table_of_the_service() -> None:
    confusions = build_confusions(["侯爷等候未来和末日"] * 5)
    assert confusions.shape["侯"] == ["候"]
    assert confusions.shape["未"] == ["末"]
    assert confusions.shape_alike("日", Random(0)) is None


def test_shape_sets_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "shapes.txt"
    path.write_text("己 已 巳\n\n未末\n", encoding="utf-8")
    assert read_shape_sets(path)["已"] == ["己", "巳"]
    path.write_text("己已\n末\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"shapes\.txt, line 2: a set needs two characters"):
        read_shape_sets(path)
    with pytest.raises(UserError, match="cannot be read as UTF-8 text"):
        read_shape_sets(tmp_path / "nowhere.txt")


@given(st.text(alphabet="我好。！a .", max_size=120), st.integers(4, 40))
def test_pieces_keep_every_character_and_their_limit(text: str, longest: int) -> None:
    pieces = list(pieces_of(text, longest))
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(len(piece) <= longest for piece in pieces)


def test_files_are_read_evenly_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "clean.txt"
    path.write_text("\n".join(f"第{at}句话写在这里，一共很多句。" for at in range(100)), encoding="utf-8")
    config = CorruptionConfig(text=(str(path),), max_texts=10)
    examples, files = corrupted_examples(config)
    assert len(examples) == files[0]["rows"] == 10
    assert examples[-1].place == f"{path}, line 91"
    path.write_text("短\n", encoding="utf-8")
    with pytest.raises(UserError, match="no text of four characters or more"):
        corrupted_examples(config)


@pytest.mark.parametrize(
    ("sizes", "limit", "rows"),
    [
        ((110,), 100, [100]),
        ((110,) * 3, 2, [0, 1, 1]),
        ((5, 110, 110), 100, [5, 47, 48]),
        ((9, 9), 0, [9, 9]),
    ],
)
def test_as_many_texts_as_asked_for_come(
    tmp_path: Path, sizes: tuple[int, ...], limit: int, rows: list[int]
) -> None:
    paths = [tmp_path / f"{at}.txt" for at in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_text("\n".join(f"短\n第{at}句话写在这里。" for at in range(size)), encoding="utf-8")
    examples, files = corrupted_examples(CorruptionConfig(text=tuple(map(str, paths)), max_texts=limit))
    assert [file["rows"] for file in files] == rows
    assert len({example.place for example in examples}) == len(examples) == sum(rows)


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match=r"error_rate must be between 0 and 0\.5"):
        CorruptionConfig(text=("x",), error_rate=0.9)
    with pytest.raises(ValueError, match="text must name"):
        CorruptionConfig(text=())
