"""Verdicts → cells: how often each outcome was seen for one target, network and day, together.

Anyone can submit, so a submission has one vote in a cell however many measurements it holds,
and below an evidence floor the state *is* `insufficient`.
"""
