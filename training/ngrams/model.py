"""The linear model over n-grams as a module: token ids in, label logits out, beside those of the network."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.errors import UserError

FILE_NAME = "ngrams.safetensors"
"""Beside the network's weights in a checkpoint directory."""


class NgramClassifier(nn.Module):
    """TF-IDF + logistic regression over n-grams of token ids, and its weight beside the network's.

    An n-gram that stands in a row several times counts as often; a row's vector is divided by the root of
    its summed squared IDFs. [CLS], [SEP] and [PAD] are in no n-gram, so neither padding nor the border of a
    pair matters. Weights are int8 with one scale per label, squared IDFs uint8 with one scale.

    Buffers (``slots``: of the trie, see ``training.ngrams.trie``):
        base, check: int32 ``[slots]``.
        weights: int8 ``[slots, labels]``, times IDF; ``weight_scale`` float32 ``[labels]``.
        squares: uint8 ``[slots]``; ``square_scale`` float32 ``[]``.
        bias: float32 ``[labels]``.
        shares: float32 ``[2]``, factors of the network's logits and of these.
        longest: int64 ``[]``, tokens of the longest n-gram.
    """

    base: Tensor
    check: Tensor
    weights: Tensor
    weight_scale: Tensor
    squares: Tensor
    square_scale: Tensor
    bias: Tensor
    shares: Tensor
    longest: Tensor

    def __init__(self, buffers: dict[str, Tensor]) -> None:
        super().__init__()
        for name, value in buffers.items():
            self.register_buffer(name, value)
        self.orders = int(self.longest)

    @property
    def terms(self) -> int:
        """N-grams with a weight."""
        return int((self.squares > 0).sum())

    def forward(self, input_ids: Tensor) -> Tensor:
        """``[batch, tokens]`` -> ``[batch, labels]``, before ``shares``."""
        states = self._states(input_ids)
        squares = self.squares[states].float().sum(dim=1, keepdim=True) * self.square_scale
        votes = self.weights[states].float().sum(dim=1) * self.weight_scale
        # A row without a known n-gram has no votes either; the bias is left.
        return votes / squares.clamp(min=1e-6).sqrt() + self.bias

    def join(self, network: Tensor, input_ids: Tensor) -> Tensor:
        """Logits of the network and of n-grams together, ``[batch, labels]``."""
        return self.shares[0] * network + self.shares[1] * self(input_ids)

    def _states(self, input_ids: Tensor) -> Tensor:
        """States of all n-grams, ``[batch, places]``; unknown ones lead to the last slot."""
        found = [input_ids]
        for order in range(1, self.orders):
            before = found[-1][:, :-1]
            slot = self.base[before].long() + input_ids[:, order:]
            unknown = torch.full_like(slot, len(self.base) - 1)
            found.append(torch.where(self.check[slot].long() == before, slot, unknown))
        return torch.cat(found, dim=1)

    def save(self, directory: Path) -> None:
        """Write ``directory/ngrams.safetensors``."""
        save_file(
            {name: value.contiguous() for name, value in self.state_dict().items()}, directory / FILE_NAME
        )


def load_ngrams(directory: Path, labels: int) -> NgramClassifier | None:
    """The n-grams of a checkpoint directory; None where it has none.

    Raises:
        UserError: a file that cannot be read, or of another number of labels.
    """
    file = directory / FILE_NAME
    if not file.is_file():
        return None
    try:
        model = NgramClassifier(load_file(file))
        theirs = len(model.bias)
    except (OSError, SafetensorError, AttributeError, RuntimeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); fine-tune again, or delete it") from None
    if theirs != labels:
        raise UserError(
            f"{file}: has {theirs} labels, the network {labels}; fine-tune again, or delete it to go without "
            "n-grams"
        )
    return model
