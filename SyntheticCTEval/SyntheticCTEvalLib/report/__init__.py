"""An evaluation in, report.html, report.pdf, metrics.json, tables and maps in a folder out.

Offers: folder (all files), page (HTML), tables, dvh_table, origin_part, pdf, metrics (metrics.json,
    metrics.csv), stored_document (a report to be written again), verdict_table (what limits say).
Inside: blocks (what a report is made of), document (the order of its sections), summary (its first
    screen), parts, figures_table, dvh_section.
May use: pictures and below.
"""
