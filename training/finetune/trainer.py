"""One run: Hugging Face's Trainer with ELECTRA's learning rates, our losses, our batches and exact resume."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainingArguments,
)

from training.finetune.config import FinetuneConfig
from training.finetune.features import IGNORED, Feature, collate
from training.finetune.layer_rates import parameter_groups
from training.finetune.losses import task_loss, teacher_loss
from training.finetune.metrics import score
from training.finetune.predict import predict_logits
from training.finetune.sampler import LengthGroupedSampler
from training.tables import Example


@dataclass(frozen=True)
class Split:
    """Examples and the rows made from them."""

    examples: Sequence[Example]
    features: Sequence[Feature]


class Rows(Dataset[Feature]):
    """Rows as a torch data set."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = features

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> Feature:
        return self.features[index]


class _SetEpoch(TrainerCallback):
    """Tells the sampler the epoch before its order is drawn, on a resumed run too."""

    def __init__(self, sampler: LengthGroupedSampler) -> None:
        self.sampler = sampler

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.sampler.epoch = int((state.epoch or 0) + 1e-6)


class ElectraTrainer(Trainer):
    """Trainer whose optimiser has layer-wise rates and whose loss may listen to a teacher."""

    optimizer: torch.optim.Optimizer | None
    control: TrainerControl

    def __init__(
        self,
        model: PreTrainedModel,
        config: FinetuneConfig,
        arguments: TrainingArguments,
        labels: Sequence[str],
        train: Sequence[Feature],
        dev: Split,
        pad_id: int,
        *,
        weights: torch.Tensor | None = None,
        bf16: bool = False,
    ) -> None:
        self.config, self.labels, self.dev = config, labels, dev
        self.pad_id, self.weights, self.bf16 = pad_id, weights, bf16
        self.sampler = LengthGroupedSampler(
            [len(row) for row in train], config.batch_size, arguments.seed, group=config.length_grouping
        )
        self.tokens_seen: int | torch.Tensor = 0
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=Rows(train),
            eval_dataset=Rows(dev.features),
            data_collator=lambda rows: collate(rows, pad_id),
            callbacks=[_SetEpoch(self.sampler)],
        )
        self.remove_callback(PrinterCallback)
        if config.patience:
            self.add_callback(EarlyStoppingCallback(config.patience))

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        return self.sampler

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with bias correction and the paper's epsilon, one group per depth."""
        if self.optimizer is None:
            groups = parameter_groups(
                self.model.named_parameters(),
                self.model.config.num_hidden_layers,
                learning_rate=self.config.learning_rate,
                layer_decay=self.config.layer_decay,
                form=self.config.layer_decay_form,
                weight_decay=self.config.weight_decay,
            )
            self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-6, fused=True)
        return self.optimizer

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, **_: Any
    ) -> Any:
        """The task's loss, mixed with the teacher's where rows carry its logits."""
        target, teacher = inputs.pop("target"), inputs.pop("teacher", None)
        # Stays on the device until the run has ended: to read it here would wait for every step.
        self.tokens_seen = self.tokens_seen + inputs["attention_mask"].sum()
        outputs = model(**inputs)
        task = self.config.task
        weights = None if self.weights is None else self.weights.to(outputs.logits.device)
        loss = task_loss(task, outputs.logits, target, weights)
        if teacher is not None:
            per_token = task in ("token_labels", "error_detection")
            asked = target != IGNORED if per_token else torch.ones(len(target), device=target.device)
            soft = teacher_loss(task, outputs.logits, teacher, asked, self.config.distill_temperature)
            loss = (1 - self.config.distill_weight) * loss + self.config.distill_weight * soft
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Figures on dev, under the names that Trainer's callbacks expect."""
        logits = predict_logits(self.model, self.dev.features, self.pad_id, bf16=self.bf16)
        figures = score(self.config.task, self.labels, self.dev.examples, self.dev.features, logits)
        # A run that diverged must lose to any other checkpoint, and NaN would not.
        metrics = {f"eval_{name}": -1.0 if np.isnan(value) else value for name, value in figures.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def training_arguments(
    config: FinetuneConfig, work: Path, rows: int, seed: int, metric: str, *, bf16: bool, progress: bool
) -> TrainingArguments:
    """Trainer's settings for one run; evaluation and checkpoints fall on the same steps."""
    steps_per_epoch = -(-rows // config.batch_size)
    total = max(1, round(steps_per_epoch * config.epochs))
    every = max(1, min(steps_per_epoch // config.evaluations_per_epoch, total))
    arguments = TrainingArguments(
        output_dir=str(work),
        max_steps=total,
        per_device_train_batch_size=config.batch_size,
        lr_scheduler_type="linear",
        warmup_steps=round(total * config.warmup_fraction),
        learning_rate=config.learning_rate,
        max_grad_norm=config.max_grad_norm,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=metric,
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        logging_steps=max(1, steps_per_epoch // 10),
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
        data_seed=seed,
        remove_unused_columns=False,
        label_names=["target"],
        disable_tqdm=not progress,
        report_to=[],
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    # Of several GPUs the first: Trainer would multiply the rows of a step by their number.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def last_checkpoint(work: Path) -> str | None:
    """The newest complete checkpoint under ``work``; what a kill left half-written is deleted."""
    newest: tuple[int, Path] | None = None
    for directory in work.glob("checkpoint-*"):
        try:
            step = int(directory.name.split("-")[1])
            json.loads((directory / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # the state is written last
            shutil.rmtree(directory, ignore_errors=True)
            continue
        newest = max(newest or (step, directory), (step, directory))
    return None if newest is None else str(newest[1])
