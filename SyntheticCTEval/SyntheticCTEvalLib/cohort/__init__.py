"""A manifest of patients in, every patient evaluated, unchanged ones taken over, out.

Offers: run, dry_run (what a run would do), inputs (what a patient is evaluated from), manifest,
    patient (one of them), records (what is kept of each).
Inside: parallel (several patients at once, on a cluster), slices, card, judged (by limits that have
    changed), report_document (a report to be written again), duration (estimated).
May use: report and below.
"""
