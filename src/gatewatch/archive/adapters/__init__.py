"""One adapter per foreign format: it knows where each fact stands, and nothing of what it means."""
