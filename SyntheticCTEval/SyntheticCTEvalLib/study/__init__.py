"""An evaluated cohort in, the paper's tables and figures, files and a report out.

Offers: report (write_cohort).
Inside: headline, result_tables (parts of the report); files, sheets, workbook, latex (beside it);
    figures, panels, charts, agreement_charts (pictures); cohort_metrics.schema.json (its numbers).
May use: group and below.
"""
