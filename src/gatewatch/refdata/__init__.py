"""What we hold to be known of the network beforehand, each set dated, sourced and hashed.

`snapshot` answers questions and is all other rooms need; `update` fetches newer sets; `embed`
rebuilds the small snapshot that ships with the package. What follows from a match is for `judge`
to say.
"""
