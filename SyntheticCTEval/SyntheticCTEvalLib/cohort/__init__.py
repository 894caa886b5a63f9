"""A manifest of patients in, every patient evaluated, unchanged ones taken over, out.

Offers: run, patient (one of them), records (what is kept of each).
Inside: manifest, parallel (several patients at once, on a cluster), slices, card, judged (by
    limits that have changed), report_document (a report to be written again).
May use: report and below.
"""
