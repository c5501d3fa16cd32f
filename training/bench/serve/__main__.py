"""``make bench-serve``: measure this service beside its peers and write the table."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
import sys
import time
from pathlib import Path

from app.bundle import BundleError
from app.bundle_files import read_bundle
from app.runtime.opening import openvino_promising
from training.bench.serve.answers import Reference
from training.bench.serve.footprint import measure_footprint
from training.bench.serve.goals import goals
from training.bench.serve.machine import this_machine
from training.bench.serve.model import SCRATCH, random_model
from training.bench.serve.noise import NoiseGuard
from training.bench.serve.overload import measure_overload
from training.bench.serve.processes import free_port, running
from training.bench.serve.report import render, write_between_markers
from training.bench.serve.results import Results, Row, Variant
from training.bench.serve.rounds import Contestant, Material, Pace, expected_answers, run_rounds
from training.bench.serve.subjects import LIGHT, PEERS, ROOT, chosen_peers, our_service, peer_subject
from training.errors import UserError

VARIANTS = {
    "fp32": ("onnxruntime", "fp32"),
    "int8": ("onnxruntime", "int8"),
    "openvino": ("openvino", "fp32"),
}
DEADLINE_SECONDS = 10.0
_EPILOG = """\
examples:
  python -m training.bench.serve --quick --peers none --no-write    seconds: does it run here?
  python -m training.bench.serve                                    the light peers; writes the table
  python -m training.bench.serve --peers all                        infinity, BentoML and Ray too: downloads
  python -m training.bench.serve --bundle models/news/1 --checkpoint out/news
"""


def make_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.bench.serve",
        description="Measure the service beside its peers: same model, same load, one after another.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one round of 1.5 s a cell: tries everything, proves nothing")
    add("--peers", default=",".join(LIGHT), help=f"of {', '.join(PEERS)}; all, or none [{','.join(LIGHT)}]")
    add(
        "--variants",
        default="",
        help=f"of {', '.join(VARIANTS)} [those that can be expected to be fast here]",
    )
    add("--rounds", type=int, default=3, help="rotations over all servers [3]")
    add("--seconds", type=float, default=8.0, help="of each cell, after the warm-up [8]")
    add("--overload-seconds", type=float, default=60.0, help="at three times the peak; 0 leaves it out [60]")
    add(
        "--noise", type=float, default=0.15, help="share of disturbance beyond which a run is repeated [0.15]"
    )
    add("--attempts", type=int, default=3, help="runs of a cell before a disturbed one is taken [3]")
    add("--bundle", type=Path, help="a classifier bundle [ELECTRA-small with random weights]")
    add("--checkpoint", type=Path, help="its Hugging Face directory, for peers that serve that")
    add(
        "--models", type=Path, default=ROOT / "models", help="shipped bundles, for the memory figure [models]"
    )
    add(
        "--work",
        type=Path,
        default=SCRATCH,
        help="scratch folder",
    )
    add("--toy", action="store_true", help="a model of two thin layers in place of ELECTRA-small, for tests")
    add("--document", type=Path, default=ROOT / "docs" / "benchmarks.md", help="where the table is written")
    add("--no-write", action="store_true", help="print the table only")
    add("--json", type=Path, help="also write every figure here")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when all answers of this service were right, 1 when not, 2 for a mistake of the user."""
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        results = bench(options)
        text = render(results)
        print(text)
        if options.json:
            options.json.write_text(json.dumps(dataclasses.asdict(results), indent=1), encoding="utf-8")
        if not options.no_write:
            write_between_markers(options.document, text)
            _tell(f"written into {options.document}")
    except (UserError, BundleError) as error:
        print(f"bench-serve: {error}", file=sys.stderr)
        return 2
    missed = sum(goal.state == "missed" for goal in goals(results))
    wrong = sum(cell.wrong for variant in results.variants for cell in variant.all_cells())
    _tell(f"{missed} goals missed, {wrong} wrong answers of this service")
    return 1 if wrong else 0


def bench(options: argparse.Namespace) -> Results:
    """Everything, in order.

    Raises:
        UserError: a peer that does not exist, a bundle that does not fit, a service that does not start.
    """
    work: Path = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    bundle_dir, checkpoint = _model(options, work)
    bundle = read_bundle(bundle_dir)
    if bundle.manifest.task != "classify":
        raise UserError(f"--bundle {bundle_dir}: is an encoder; give a classifier")
    models_dir = bundle_dir.parent.parent
    material = Material.of(bundle)
    pace = (
        Pace(1, 1.5, 0.5, 1.0, 16)
        if options.quick
        else Pace(options.rounds, options.seconds, 1.0, options.seconds, 64)
    )
    _tell("watching for a quiet moment")
    guard = NoiseGuard(options.noise, 1 if options.quick else options.attempts)
    size = sum(entry.bytes for entry in bundle.manifest.graphs["model"].files.values()) / 1e6
    results = Results(
        this_machine(),
        pace.rounds,
        pace.seconds,
        options.noise,
        f"{bundle.manifest.name} ({size:.0f} MB of graphs, {len(bundle.manifest.labels)} labels)",
    )
    contestants = []
    fp32: dict[str, Reference] | None = None
    for name in _variants(options, list(bundle.manifest.graphs["model"].files)):
        backend, precision = VARIANTS[name]
        expected, real = expected_answers(bundle, material, backend, precision)  # type: ignore[arg-type]
        if name == "fp32":
            fp32 = expected
        row = Variant(f"this service, {backend} {real}", backend=backend, precision=real)
        results.variants.append(row)
        subject = our_service(models_dir, name=row.name, backend=backend, precision=precision)
        contestants.append(Contestant(row, subject, expected))
    peers = chosen_peers(options.peers)
    if peers and fp32 is None:
        fp32, _ = expected_answers(bundle, material, "onnxruntime", "fp32")
    for name in peers:
        assert fp32 is not None
        row_of_peer = Row(name)
        results.peers.append(row_of_peer)
        _tell(f"{name}: environment")
        contestants.append(Contestant(row_of_peer, peer_subject(name, bundle_dir, checkpoint, work), fp32))
    run_rounds(bundle, material, contestants, results, guard, pace, work, _tell)
    _tell("memory and start")
    measure_footprint(results, options.models, models_dir, material, work, 1 if options.quick else 3)
    if options.overload_seconds > 0:
        _tell("overload")
        seconds = 6.0 if options.quick else options.overload_seconds
        deadline = 2.0 if options.quick else DEADLINE_SECONDS
        _overload(results, models_dir, material, work, guard, seconds, deadline)
    return results


def _overload(
    results: Results,
    models_dir: Path,
    material: Material,
    work: Path,
    guard: NoiseGuard,
    seconds: float,
    deadline: float,
) -> None:
    subject = our_service(models_dir, name="overload", request_timeout_s=deadline)
    port = free_port()
    mix = next(load for load in material.loads() if load.name == "mix")
    with running(
        "overload", subject.command(port), subject.environment, port, subject.ready_path, work
    ) as server:
        guarded = guard.run(
            lambda: measure_overload(subject, server, mix, seconds=seconds, deadline=deadline),
            server.cpu_seconds,
        )
        results.overload, results.overload_quiet = guarded.value, guarded.quiet
        if math.isnan(results.overload.goodput):
            raise UserError(f"overload: no request was answered; see {server.log}")


def _model(options: argparse.Namespace, work: Path) -> tuple[Path, Path | None]:
    if options.bundle:
        return options.bundle.absolute(), options.checkpoint and options.checkpoint.absolute()
    _tell("the model: exported once, then kept in the scratch folder")
    model = random_model(work, toy=options.toy)
    return model.bundle, model.checkpoint


def _variants(options: argparse.Namespace, offered: list[str]) -> list[str]:
    if options.variants:
        names = [name.strip() for name in options.variants.split(",")]
        unknown = [name for name in names if name not in VARIANTS]
        if unknown:
            raise UserError(f"--variants {unknown[0]}: choose from {', '.join(VARIANTS)}")
        return names
    return [
        name
        for name, (backend, precision) in VARIANTS.items()
        if precision in offered and (backend != "openvino" or openvino_promising())
    ]


def _tell(line: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
