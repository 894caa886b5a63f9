"""Patients that were evaluated before, held against limits that have changed since."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

from SyntheticCTLib.basics.errors import SyntheticCTError
from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.acceptance.verdicts import verdicts_of
from SyntheticCTEvalLib.evaluation.limits import Acceptance, acceptance_entry
from SyntheticCTEvalLib.pictures.charts import colours_of
from SyntheticCTEvalLib.report.folder import ACCEPTANCE, METRICS, REPORT, SCENE
from SyntheticCTEvalLib.report.metrics import metrics_text
from SyntheticCTEvalLib.report.verdict_table import table_of, with_verdicts

from .card import rewrite_card


def judge_again(folder: Path, acceptance: Acceptance | None) -> None:
    """Hold the figures in a patient's ``folder`` against ``acceptance``, unless that was done.

    Changes what depends on it: in metrics.json and report.html the part on acceptance, the
    copies of both in scene.mrb, and acceptance.toml.

    Raises:
        SyntheticCTError: the report is not one that this version has written, or a file cannot
            be written.
    """
    metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    candidates, target = metrics["candidates"], metrics.get("target")
    verdicts, entry, table = {}, None, None
    if acceptance is not None:
        verdicts = {name: verdicts_of(acceptance, m, target) for name, m in candidates.items()}
        entry = json.loads(json.dumps(acceptance_entry(acceptance, verdicts)))
        table = table_of(acceptance, verdicts, colours_of(list(candidates)))
    if metrics.get("acceptance") == entry:
        return
    page = with_verdicts((folder / REPORT).read_text(encoding="utf-8"), table)
    if page is None:
        raise SyntheticCTError(
            f"The report in {folder} has no part on acceptance that could be renewed: run again "
            "with --redo."
        )
    metrics["acceptance"] = entry
    # The scene first: its copies are known by being those of the files as they still are.
    _renew_scene(folder, {REPORT: page, METRICS: metrics_text(metrics)})
    _write(folder / REPORT, page)
    if acceptance is None:
        (folder / ACCEPTANCE).unlink(missing_ok=True)
    else:
        _write(folder / ACCEPTANCE, acceptance.text)
    rewrite_card(folder)
    _write(folder / METRICS, metrics_text(metrics))  # last, as it tells that all of it was done


def _write(path: Path, text: str) -> None:
    with staged_file(path) as stage:
        stage.write_bytes(text.encode("utf-8"))


def _renew_scene(folder: Path, texts: dict[str, str]) -> None:
    """Exchange the copies of documents in scene.mrb, where there is one, for new ``texts``."""
    scene = folder / SCENE
    if not scene.is_file():
        return
    new = {(folder / name).read_bytes(): text.encode("utf-8") for name, text in texts.items()}
    sizes = {len(content) for content in new}
    with (
        staged_file(scene) as stage,
        zipfile.ZipFile(scene) as old,
        zipfile.ZipFile(stage, "w", zipfile.ZIP_DEFLATED) as renewed,
    ):
        for item in old.infolist():
            if item.file_size in sizes and (content := new.get(old.read(item))) is not None:
                renewed.writestr(item, content)
                continue
            with old.open(item) as source, renewed.open(item, "w") as sink:
                shutil.copyfileobj(source, sink)
