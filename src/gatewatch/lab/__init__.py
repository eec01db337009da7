"""The lab: a sealed world with known truth, in which documented interference is reproduced.

A scenario names networks, hosts, censors and what is true of every target; a world is that
scenario running. Its machines live in network namespaces made for it and joined by one router
process; nothing in it can reach, or be reached from, a real network.
"""
