"""Observations → verdicts: what one measurement says of the ordinary user's path.

`case` lays the observations out along that path, `compare` holds probe against control, `rules`
are the rows that speak for an outcome, `verdict` adds them up, `pool` lends the controls of
other measurements, `words` puts it in a sentence. Country identity and expert opinion never
enter here.
"""
