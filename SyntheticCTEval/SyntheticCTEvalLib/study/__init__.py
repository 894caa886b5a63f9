"""An evaluated cohort in, the paper's tables, statistics, figures and report out.

Offers: report (write_cohort).
May use: cohort and below.
"""
