"""The lab where a system offers no namespaces: the same worlds on loopback, over plain sockets.

Hosts, client and censors are those of the full lab. What is missing is the wire: sockets say what
is sent and received, and never in which packets. So each flow whose way leads past a censor gets
a *front*, a socket of its own at either end, that says in segments and datagrams what its program
says to it, carries them past the boxes in real time, and does to the program's socket what comes
out of them. Nothing leaves the machine, and no privilege is needed.
"""

from gatewatch.lab.reduced.needs import CANNOT_DO, CannotReduce, needs_packets
from gatewatch.lab.reduced.run import run_reduced

__all__ = ["CANNOT_DO", "CannotReduce", "needs_packets", "run_reduced"]
