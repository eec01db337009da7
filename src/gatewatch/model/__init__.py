"""The nouns of gatewatch and the tables made from them; no input, no output, no clock.

`records` what was measured and observed; `verdict` what we think of it; `cell` how often;
`outcome`, `mechanism` and `failure` the closed vocabularies; `tables` the columns, once.
"""
