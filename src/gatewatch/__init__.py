"""gatewatch: who filters the Internet, what, where, how, since when, and how sure we are."""

__version__ = "0.1.0"
