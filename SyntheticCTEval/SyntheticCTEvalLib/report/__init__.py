"""An evaluation in, report.html, report.pdf, metrics.json, tables and maps in a folder out.

Offers: folder (all files), page (HTML), pdf, tables, origin_part, blocks (what a report is made
    of), summary (its first screen), metrics (metrics.json, metrics.csv).
Inside: document (the order of its sections), parts, figures_table, dvh_section, pdf_tables (tables
    of the PDF).
May use: pictures and below.
"""
