"""A text file of limits and an evaluation's figures in, a verdict a candidate and limit out.

Offers: limits (files read), verdicts (judge, settings_for; which structures a limit fits).
Inside: tg218.toml, korsholm2014.toml (shipped limits, by their names).
May use: evaluation and below.
"""
