"""Patients that were evaluated before, held against limits that have changed since."""

from __future__ import annotations

import base64
import json
import shutil
import zipfile
from pathlib import Path

from SyntheticCTLib.basics.outputs import staged_file

from SyntheticCTEvalLib.acceptance.verdicts import verdicts_of
from SyntheticCTEvalLib.evaluation.limits import Acceptance, acceptance_entry
from SyntheticCTEvalLib.report.folder import ACCEPTANCE, METRICS, PDF, REPORT, SCENE, documents_in
from SyntheticCTEvalLib.report.metrics import metrics_text
from SyntheticCTEvalLib.report.page import page_of
from SyntheticCTEvalLib.report.pdf import missing, pdf_of
from SyntheticCTEvalLib.report.summary import renew_verdicts, shown_in, verdicts_as_blocks

from .card import rewrite_card
from .report_document import REPORT_DOCUMENT, read_document, write_document


def judge_again(folder: Path, acceptance: Acceptance | None, paper: str = "a4") -> None:
    """Hold the figures in a patient's ``folder`` against ``acceptance``, unless that was done.

    Changes what depends on it: the part on acceptance in metrics.json, report.html and report.pdf,
    their copies in scene.mrb, and acceptance.toml.

    Raises:
        SyntheticCTError: the report cannot be written again, or a file cannot be written.
    """
    metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    candidates, target = metrics["candidates"], metrics.get("target")
    verdicts, entry = {}, None
    if acceptance is not None:
        verdicts = {name: verdicts_of(acceptance, m, target) for name, m in candidates.items()}
        entry = json.loads(json.dumps(acceptance_entry(acceptance, verdicts)))
    if metrics.get("acceptance") == entry:
        return
    document = read_document(folder / REPORT_DOCUMENT)
    blocks = []
    if acceptance is not None:
        blocks = verdicts_as_blocks(acceptance, verdicts, shown_in(document, candidates), target)
    renew_verdicts(document, blocks)
    page = page_of(document)
    metrics["acceptance"] = entry
    pdf = b"" if missing() else pdf_of(document, paper)
    # The scene first: its copies are known by being those of the files as they still are.
    copies = documents_in(folder)
    new = {REPORT: page, METRICS: metrics_text(metrics), PDF: base64.b64encode(pdf).decode()}
    _renew_scene(folder, {copies[name]: new[name] for name in new.keys() & copies.keys()})
    _write(folder / REPORT, page)
    (folder / PDF).unlink(missing_ok=True)  # rather than one that says something else
    if pdf:
        with staged_file(folder / PDF) as stage:
            stage.write_bytes(pdf)
    write_document(document, folder / REPORT_DOCUMENT)
    if acceptance is None:
        (folder / ACCEPTANCE).unlink(missing_ok=True)
    else:
        _write(folder / ACCEPTANCE, acceptance.text)
    rewrite_card(folder, (REPORT, PDF, ACCEPTANCE, METRICS, REPORT_DOCUMENT))
    _write(folder / METRICS, metrics_text(metrics))  # last, as it tells that all of it was done


def _write(path: Path, text: str) -> None:
    with staged_file(path) as stage:
        stage.write_bytes(text.encode("utf-8"))


def _renew_scene(folder: Path, texts: dict[str, str]) -> None:
    """Exchange the copies of documents in scene.mrb, where there is one: old texts for new."""
    scene = folder / SCENE
    if not scene.is_file():
        return
    new = {old.encode("utf-8"): text.encode("utf-8") for old, text in texts.items()}
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
