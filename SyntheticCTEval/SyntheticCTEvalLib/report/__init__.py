"""An evaluation in, report.html, metrics.json, tables and maps in a folder out.

Offers: folder (all files), page, tables, dvh_table.
Inside: metrics (metrics.json, metrics.csv), dvh_section.
May use: pictures and below.
"""
