"""Raw records → observations: what happened, with certificates, pages and addresses read here.

Nothing is concluded in this room, and nothing a submitter says about a certificate or a page is
taken on trust when its bytes are at hand.
"""
