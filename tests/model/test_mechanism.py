"""The tree of mechanisms: every prefix is an answer, and every answer has its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.model.mechanism import ALL, LAYER_WORDS, LEAVES, deepest, under, words

nodes = st.sampled_from(sorted(ALL))


def test_every_prefix_of_a_leaf_is_a_node():
    for leaf in LEAVES:
        labels = leaf.split(".")
        assert {".".join(labels[: n + 1]) for n in range(len(labels))} <= ALL


@pytest.mark.parametrize("node", sorted(ALL))
def test_every_node_has_its_words(node: str):
    assert words(node)
    assert node.split(".")[0] in LAYER_WORDS


@given(nodes, nodes, nodes)
def test_being_under_is_an_order(a: str, b: str, c: str):
    assert under(a, a)
    assert not (under(a, b) and under(b, a)) or a == b
    assert not (under(a, b) and under(b, c)) or under(a, c)


def test_a_name_that_merely_begins_alike_is_not_under_another():
    assert not under("dns.nxdomainish", "dns.nxdomain")
    assert not under("dns", "dns.nxdomain")


@given(st.lists(nodes))
def test_the_deepest_nodes_say_all_that_the_list_says_once(given: list[str]):
    kept = deepest(given)
    assert all(any(under(k, g) for k in kept) for g in given)
    assert not any(a != b and under(a, b) for a in kept for b in kept)
    assert kept == list(dict.fromkeys(kept))
    assert deepest(kept) == kept
