"""An evaluated cohort in, the paper's tables, statistics, figures and report out.

Offers: report (write_cohort).
Inside: values, comparison (every figure), paired_comparison (the choice of the test), tables,
    figures, panels, charts.
May use: cohort and below.
"""
