"""Answers from the tables: check, country, network, site, service, explain, status, export.

Every function here takes a `Reading` (a DuckDB connection over the store's views, and the
reference data) and gives a typed document. It opens no file, knows no clock and prints nothing:
the command line and the web show the same documents, each in its own way.
"""
