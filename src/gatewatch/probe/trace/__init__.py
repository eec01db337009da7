"""Who answered, and how far away: requests of limited TTL, and what packets say of it.

`flows` reads captured frames as probes, `path` what a probe without interference shows of the
way, `reading` decides, `limited` measures.
"""
