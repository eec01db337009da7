"""The server: the control vantage that probes compare with, and the collector they submit to.

It stands on the open Internet, so nothing that reaches it is trusted, and no address of a client
is kept or logged.
"""
