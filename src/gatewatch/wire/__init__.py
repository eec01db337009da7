"""Bytes to structures and back, as they travel: no socket, no clock, no opinion."""
