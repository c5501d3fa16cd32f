from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from app.bundle_files import read_bundle
from app.tasks.detect.candidates import SHAPE_PRIORS, SOUND_PRIORS, PieceTable, piece_table, propose
from app.tasks.detect.places import Place
from app.tasks.model import load_encoder
from tests.toy import toy_bundle


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder(read_bundle(toy_bundle(tmp_path_factory.mktemp("models"), "encoder")))


def place_of(encoder, text):
    encoded = encoder.encode(text)
    spans = encoded.offsets.tolist()
    reached = [0, *(end for _, end in spans)]
    return Place(
        window=(0, 0),
        window_ids=encoded.ids,
        positions=np.arange(len(encoded)),
        surfaces=tuple(text[start:end] for start, end in spans),
        gaps=tuple(text[before:start] for before, (start, _) in zip(reached, spans, strict=False)),
        text=text,
        score=0.9,
    )


def fitting(encoder, text):
    place = place_of(encoder, text)
    table = piece_table(encoder)
    return [
        {encoder.pieces[index] for index in table.fitting(token, surface)}
        for token, surface in zip(place.ids, place.surfaces, strict=True)
    ]


def test_only_pieces_of_the_same_script_and_place_fit(encoder):
    (han,) = fitting(encoder, "好")
    assert {"我", "错", "十"} <= han
    assert not han & {"，", "a", "apple", "1", "[UNK]", "[MASK]"}
    (latin,) = fitting(encoder, "apple")
    assert {"a", "dog", "iphone"} <= latin
    assert not latin & {"好", "##ing", "1", "."}
    assert fitting(encoder, "iphone15")[1] == {f"##{digit}" for digit in range(10)}
    assert "。" in fitting(encoder, "，")[0]


def test_nothing_fits_several_unknown_characters(encoder):
    assert fitting(encoder, "한국") == [set()]
    place = place_of(encoder, "한국")
    assert propose(piece_table(encoder), place, np.zeros((1, encoder.vocab_size)), 5) == []


def test_the_table_is_made_once(encoder):
    assert piece_table(encoder) is piece_table(encoder)


@pytest.mark.parametrize("text", ["好", "好坏", "iphone15", "good"])
def test_candidates_are_the_most_probable_fillings(encoder, text):
    table = PieceTable(encoder)
    place = place_of(encoder, text)
    random = np.random.default_rng(len(text))
    logits = random.normal(scale=3, size=(len(place.ids), encoder.vocab_size))
    # What stands there is the likeliest of all, and still no candidate.
    logits[np.arange(len(place.ids)), list(place.ids)] = 20.0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    choices = [table.fitting(*pair) for pair in zip(place.ids, place.surfaces, strict=True)]
    everything = {
        ids: float(np.prod([row[index] for row, index in zip(probabilities, ids, strict=True)]))
        for ids in product(*(choice.tolist() for choice in choices))
        if ids != place.ids
    }
    best = sorted(everything, key=everything.__getitem__, reverse=True)[:7]
    candidates = propose(table, place, logits, 7)
    assert [candidate.ids for candidate in candidates] == best
    assert [candidate.probability for candidate in candidates] == pytest.approx(
        [everything[ids] for ids in best]
    )
    for candidate in candidates:
        assert candidate.text == "".join(encoder.pieces[index].removeprefix("##") for index in candidate.ids)


@pytest.mark.parametrize(
    ("text", "written"), [("good", "dog"), ("Good", "Dog"), ("GOOD", "DOG"), ("G", "Dog")]
)
def test_a_candidate_takes_the_case_of_what_it_replaces(encoder, text, written):
    logits = np.zeros((1, encoder.vocab_size))
    logits[0, encoder.pieces.index("dog")] = 9.0
    assert propose(piece_table(encoder), place_of(encoder, text), logits, 1)[0].text == written


def test_what_would_be_written_the_same_is_no_candidate(encoder):
    logits = np.zeros((1, encoder.vocab_size))
    logits[0, encoder.pieces.index("dog")] = 9.0
    # As in a cased vocabulary, where another id is written like the text that stands there.
    place = replace(place_of(encoder, "good"), text="Dog")
    assert "Dog" not in {candidate.text for candidate in propose(piece_table(encoder), place, logits, 99)}


def test_sounds_are_weighed_on_request(encoder):
    table = piece_table(encoder)
    place = place_of(encoder, "十")  # 是 shi, 四 si: the same and nearly the same sound
    logits = np.zeros((1, encoder.vocab_size))
    for piece, logit in [("好", 3.0), ("在", 2.0), ("大", 1.5), ("是", 1.0), ("四", 1.0)]:
        logits[0, encoder.pieces.index(piece)] = logit
    plain = propose(table, place, logits, 3)
    assert [(candidate.text, candidate.prior) for candidate in plain] == [("好", 1), ("在", 1), ("大", 1)]
    weighed = propose(table, place, logits, 3, sound_alike=True)
    assert [candidate.text for candidate in weighed] == ["是", "四", "好"]
    assert [candidate.prior for candidate in weighed] == pytest.approx(
        [SOUND_PRIORS["same"], SOUND_PRIORS["near"], SOUND_PRIORS["other"]]
    )
    probability = {candidate.text: candidate.probability for candidate in plain}
    assert weighed[2].probability == pytest.approx(probability["好"])


def test_shapes_are_weighed_on_request_and_with_sounds_the_higher_counts(encoder):
    table = piece_table(encoder)
    place = place_of(encoder, "人")  # 八 looks like it
    logits = np.zeros((1, encoder.vocab_size))
    for piece, logit in [("好", 3.0), ("在", 2.0), ("八", 1.0)]:
        logits[0, encoder.pieces.index(piece)] = logit
    weighed = propose(table, place, logits, 2, shape_alike=True)
    assert [(candidate.text, candidate.prior) for candidate in weighed] == [
        ("八", pytest.approx(SHAPE_PRIORS["alike"])),
        ("好", pytest.approx(SHAPE_PRIORS["other"])),
    ]
    token, pieces = place.ids[0], table.fitting(place.ids[0], "人")
    by = {
        (sound, shape): table.priors(token, "人", sound=sound, shape=shape)
        for sound in (False, True)
        for shape in (False, True)
    }
    assert (by[False, False] == 1).all()
    np.testing.assert_array_equal(by[True, True], np.maximum(by[True, False], by[False, True]))
    assert len(by[True, True]) == len(pieces)


def test_what_has_no_known_sound_or_shape_is_not_weighed(encoder):
    logits = np.random.default_rng(1).normal(size=(1, encoder.vocab_size))
    for text in ("apple", "，", "龘"):
        place = place_of(encoder, text)
        table = piece_table(encoder)
        weighed = propose(table, place, logits, 5, sound_alike=True, shape_alike=True)
        assert propose(table, place, logits, 5) == weighed


def test_a_character_that_stays_in_a_longer_span_is_not_held_against_it(encoder):
    table = piece_table(encoder)
    token, surface = place_of(encoder, "是").ids[0], "是"
    priors = dict(zip(table.fitting(token, surface).tolist(), table.priors(token, surface), strict=True))
    assert priors[token] == 1.0
