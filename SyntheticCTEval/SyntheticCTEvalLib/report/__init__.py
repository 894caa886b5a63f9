"""An evaluation in, report.html, metrics.json, tables and maps in a folder out.

Offers: folder (all files), page, tables, dvh_table, metrics (metrics.json, metrics.csv),
    verdict_table, templates.
Inside: dvh_section.
May use: pictures and below.
"""
