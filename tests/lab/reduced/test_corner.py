"""A corner of loopback: claimed by one world, silent or closed where nobody is."""

from __future__ import annotations

import socket

import pytest

from gatewatch.lab.reduced import corner as corners
from gatewatch.lab.reduced.corner import Corner
from gatewatch.lab.reduced.needs import CannotReduce
from tests.lab.worlds import scenario


def test_worlds_that_run_at_the_same_time_have_corners_of_their_own():
    with Corner(scenario()) as one, Corner(scenario()) as other:
        assert one.loopback.nowhere != other.loopback.nowhere


def test_a_connect_to_nobody_hangs_however_many_there_are():
    with Corner(scenario()) as corner:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                socket.create_connection(corner.silent("tcp"), timeout=0.1)


def test_a_datagram_to_nobody_is_not_refused():
    with Corner(scenario()) as corner, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(0.1)
        client.connect(corner.silent("udp"))
        for _ in range(2):
            client.send(b"?")
            with pytest.raises(TimeoutError):
                client.recv(1)


def test_a_closed_port_refuses():
    with Corner(scenario()) as corner, pytest.raises(ConnectionRefusedError):
        socket.create_connection(corner.closed())


def test_where_every_corner_is_taken_it_says_which_port(monkeypatch):
    monkeypatch.setattr(corners, "TRIES", 1)
    with Corner(scenario()), pytest.raises(CannotReduce, match=r"port 20000 is taken at 127\."):
        Corner(scenario())
