"""The command ``synthetic-ct train``: a model from pairs of MR and CT."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from SyntheticCTLib.basics.progress import Progress

from .arguments import seed_number


def train(options: argparse.Namespace, progress: Progress) -> dict[str, Path]:
    """Train a model and write its bundle."""
    from SyntheticCTLib.training.epochs import train as run
    from SyntheticCTLib.training.pairs import read_sources
    from SyntheticCTLib.training.settings import TrainingSettings

    settings = TrainingSettings(
        epochs=options.epochs,
        width=options.width,
        depth=options.depth,
        blocks=options.blocks,
        size=options.size,
        batch=options.batch,
        learning_rate=options.learning_rate,
        decay_epochs=options.decay_epochs,
        l1_weight=options.l1_weight,
        adversarial_weight=options.adversarial_weight,
        spacing_mm=options.spacing,
        hu_range=tuple(options.hu_range),
        seed=options.seed,
        device=options.device,
        domain=options.domain,
    )
    sources = read_sources(options.manifest)
    run(
        sources,
        options.output,
        settings,
        resume=options.resume,
        workers=max(1, options.workers),
        progress=progress,
    )
    return {"model": Path(options.output)}


def add_train(command: Callable) -> None:
    sub = command(
        "train",
        train,
        "Train a model on pairs of MR and CT",
        "The manifest has the columns patient, mr, ct and optionally registered (yes: the MR "
        "already lies on the CT) and use (train or validation). Defaults are the study's. Pairs "
        "and the last checkpoint are kept in BUNDLE.training.",
    )
    sub.add_argument("manifest", metavar="MANIFEST.csv")
    sub.add_argument("--output", required=True, metavar="BUNDLE", help="folder of the model")
    sub.add_argument("--epochs", type=int, default=100, help="passes over all slabs (%(default)s)")
    sub.add_argument("--width", type=int, default=64, help="channels of level one (%(default)s)")
    sub.add_argument("--depth", type=int, default=4, help="down-samplings (%(default)s)")
    sub.add_argument("--blocks", type=int, default=4, help="residual blocks (%(default)s)")
    sub.add_argument("--size", type=int, default=512, help="pixels of a slab (%(default)s)")
    sub.add_argument("--batch", type=int, default=3, help="slabs a step (%(default)s)")
    sub.add_argument("--learning-rate", type=float, default=2e-4, help="of Adam (%(default)s)")
    sub.add_argument(
        "--decay-epochs",
        type=int,
        default=0,
        help="last epochs over which the learning rate falls towards 0 (%(default)s)",
    )
    sub.add_argument("--l1-weight", type=float, default=1.0, help="of the L1 loss (%(default)s)")
    sub.add_argument(
        "--adversarial-weight", type=float, default=1.0, help="of the other loss (%(default)s)"
    )
    sub.add_argument("--spacing", type=float, metavar="MM", help="in-plane grid (the CT's own)")
    sub.add_argument(
        "--hu-range",
        type=float,
        nargs=2,
        default=(-1024.0, 2048.0),
        metavar=("LOW", "HIGH"),
        help="CT numbers that -1 and 1 stand for (-1024 2048)",
    )
    sub.add_argument(
        "--seed", type=seed_number, default=0, help="of weights and order (%(default)s)"
    )
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    sub.add_argument("--workers", type=int, default=1, help="pairs registered at once (1)")
    sub.add_argument("--domain", default="", help="what the model is for, in words")
    sub.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
