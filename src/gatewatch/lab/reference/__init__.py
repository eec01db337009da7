"""The reference client: measures a URL as OONI's web_connectivity 0.5 does, plainly.

It has no cleverness of its own. What the lab shows of a censor is what an ordinary client
meets, written down in the format that the judge reads.
"""
