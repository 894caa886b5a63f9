"""An evaluated cohort in, what its figures say of the group out: tables, tests, intervals.

Offers: analysis (all of it), values (every figure), tables (the paper's), comparison (with a
    baseline), tolerance (intervals), agreement (of doses with the true CT; Korsholm 2014),
    outliers, limit_counts.
Inside: paired_comparison (the choice of the test).
May use: cohort and below.
"""
