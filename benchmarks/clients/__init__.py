"""What dig, curl, openssl and Chromium show at a vantage point of the lab, mechanism by mechanism.

python -m benchmarks.clients > docs/lab-clients.md
"""
