"""An evaluation in, report.html, report.pdf, metrics.json, tables and maps in a folder out.

Offers: folder (all files), page (HTML), pdf, tables, dvh_table, origin_part, blocks (what a report
    is made of), summary (its first screen), metrics (metrics.json, metrics.csv).
Inside: document (the order of its sections), bounds (what figures do not show), parts,
    figures_table, dvh_section, largest_difference, pdf_tables (tables of the PDF).
May use: pictures and below.
"""
