"""An evaluation in, report.html, report.pdf, metrics.json, tables and maps in a folder out.

Offers: folder (all files), page (HTML), tables, dvh_table, origin_part.
Inside: blocks (what a report is made of), document (the order of its sections), summary (its first
    screen), parts, figures_table, dvh_section, pdf, metrics (metrics.json, metrics.csv).
May use: pictures and below.
"""
