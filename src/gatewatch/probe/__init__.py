"""The probe: measures what a network lets through, and says how what it finds is done.

Steps (`net`, `dns`, `tls`, `http`, `quic`) do one thing on the network and say how it ended;
`experiments` ask one question each with them; what is recorded is an OONI measurement. What it
all means is for the judge, who reads it from the archive like anybody else's.
"""
