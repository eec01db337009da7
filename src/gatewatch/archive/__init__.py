"""The door: raw measurements come in as bytes and stay as they came; tables are kept beside them.

`reader` finds the records in any file; `store` keeps raw files and committed tables; `arrow`
turns nouns into columns and back; `adapters` read each foreign format into our records.
"""
