"""Measurements of situations whose truth is known, in the shapes that OONI Probe writes.

`network` says what a small Internet and its censor do; `helper` and `probe` derive from it what a
test helper and a probe would record; `situations` is a table of such networks with what an honest
reader may conclude; `world` is many of them over several days. Everything made here says of
itself that it is synthetic. Nothing is judged here.
"""
