"""Answers laid out for people and as plain tables; what they say is decided in `publish`."""
