"""Errors drawn from the pretraining generator: plausible in their place, and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import ElectraForMaskedLM

from app.tasks.local import batches_by_length
from training.electra.huggingface import quiet_hub
from training.errors import UserError
from training.finetune.corruption import Sampler
from training.finetune.features import Feature, check_vocabulary, collate
from training.finetune.model import read_config
from training.hardware import default_device
from training.tokenizer import SPECIAL_TOKENS, load_tokenizer, special_tokens

Job = tuple[str, Sequence[tuple[int, int]]]
_BUDGET = 8192


def generator_sampler(directory: Path, seed: int = 0) -> Sampler:
    """A sampler that masks the wanted spans and draws from the generator's softmax.

    A span that is not exactly one whole-word token, or that lies beyond the generator's length, gets None.

    Raises:
        UserError: no ElectraForMaskedLM checkpoint with a fitting tokenizer in ``directory``.
    """
    config = read_config(directory)
    tokenizer = load_tokenizer(directory)
    check_vocabulary(tokenizer, config.vocab_size, str(directory))
    try:
        with quiet_hub():
            model, info = ElectraForMaskedLM.from_pretrained(
                directory, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{directory}: generator cannot be loaded ({reason})") from None
    if any(name.startswith("generator_predictions.") for name in info["missing_keys"]):
        raise UserError(f"{directory}: has no generator head; give an ElectraForMaskedLM checkpoint")
    model = model.eval().to(default_device())
    random = torch.Generator(device="cpu").manual_seed(seed)
    special = special_tokens(tokenizer)
    pieces = [tokenizer.id_to_token(at) or "" for at in range(config.vocab_size)]
    banned = torch.tensor([not p or p in SPECIAL_TOKENS or p.startswith("##") for p in pieces])
    room = config.max_position_embeddings - 2

    def sample(jobs: Sequence[Job]) -> list[list[str | None]]:
        encodings = tokenizer.encode_batch([text for text, _ in jobs], add_special_tokens=False)
        rows: list[Feature] = []
        masked: list[list[tuple[int, int, int]]] = []  # (which span, position in the row, original id)
        for (_, spans), encoding in zip(jobs, encodings, strict=True):
            whole = {offset: at for at, offset in enumerate(encoding.offsets[:room])}
            places = [(which, whole[span]) for which, span in enumerate(spans) if span in whole]
            ids = np.asarray([special.cls, *encoding.ids[:room], special.sep], np.int64)
            masked.append([(which, at + 1, int(ids[at + 1])) for which, at in places])
            ids[[at + 1 for _, at in places]] = special.mask
            nothing = np.zeros((0, 2), np.int64)
            rows.append(Feature(ids, np.zeros_like(ids), np.asarray(0, np.int64), 0, nothing))
        answers: list[list[str | None]] = [[None] * len(spans) for _, spans in jobs]
        device = next(model.parameters()).device
        with torch.inference_mode():
            for indices in batches_by_length([len(row) for row in rows], _BUDGET):
                batch = collate([rows[at] for at in indices], special.pad)
                inputs = {k: batch[k].to(device) for k in ("input_ids", "attention_mask", "token_type_ids")}
                wanted = [(row, p, i) for row, at in enumerate(indices) for _, p, i in masked[at]]
                if not wanted:
                    continue
                hidden = model.electra(**inputs).last_hidden_state
                # The vocabulary is large: only masked positions go through the output layer.
                picked = hidden[[row for row, *_ in wanted], [p for _, p, _ in wanted]]
                logits = model.generator_lm_head(model.generator_predictions(picked)).float().cpu()
                logits[:, banned] = -torch.inf
                logits[torch.arange(len(wanted)), torch.tensor([i for *_, i in wanted])] = -torch.inf
                drawn = torch.multinomial(logits.softmax(-1), 1, generator=random)[:, 0].tolist()
                which = [(at, span) for at in indices for span, _, _ in masked[at]]
                for (at, span), token in zip(which, drawn, strict=True):
                    answers[at][span] = pieces[token]
        return answers

    return sample
