"""What sets a censor off: `lab.rules.Trigger` made ready to be asked about each packet.

`scope` answers from the ends of a flow, `contents` from what is said in it as `reading`
understands it, `schedule` from the time.
"""
