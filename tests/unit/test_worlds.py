"""The model of worlds, by properties: a change ends exactly the code that depends on it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aotnb.core.worlds import Cause, CodeNode, MethodTable

CAUSE = Cause("global", "K", "1", "2")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[MethodTable, list[CodeNode], dict[int, set[int]]]:
    """A table of up to eight nodes that link each other anyhow, circles included, and who links whom."""
    table = MethodTable()
    size = draw(st.integers(1, 8))
    nodes = [table.add(number, CodeNode(str(number))) for number in range(size)]
    links: dict[int, set[int]] = {number: set() for number in range(size)}
    for caller, callee in draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=20)):
        nodes[caller].link(nodes[callee])
        links[caller].add(callee)
    return table, nodes, links


def dependants(links: dict[int, set[int]], start: set[int]) -> set[int]:
    found = set(start)
    while True:
        more = {caller for caller, callees in links.items() if callees & found} - found
        if not more:
            return found
        found |= more


@given(graphs(), st.data())
def test_exactly_what_depends_on_a_change_is_invalidated(graph: tuple, data: st.DataObject) -> None:
    table, nodes, links = graph
    hit = data.draw(st.sets(st.integers(0, len(nodes) - 1)))
    victims = table.invalidate({nodes[number]: CAUSE for number in hit})
    gone = {int(victim.node.label) for victim in victims}
    assert gone == dependants(links, hit)
    assert len(victims) == len(gone), "each victim counts once"
    assert table.world == (2 if hit else 1)
    for number, node in enumerate(nodes):
        assert node.max_world == (1 if number in gone else None)
        assert (table.get(number) is node) == (number not in gone)
        assert all(caller.max_world is None for caller in node.callers)


@given(graphs(), st.data())
def test_a_chain_leads_from_the_change_to_its_victim(graph: tuple, data: st.DataObject) -> None:
    table, nodes, links = graph
    start = data.draw(st.integers(0, len(nodes) - 1))
    for victim in table.invalidate({nodes[start]: CAUSE}):
        chain = [int(node.label) for node in victim.chain]
        assert (chain[0], chain[-1]) == (start, int(victim.node.label))
        assert all(callee in links[caller] for callee, caller in pairwise(chain))
        assert len(set(chain)) == len(chain) == victim.depth + 1


@given(graphs())
def test_nothing_changed_no_new_world(graph: tuple) -> None:
    table, nodes, _ = graph
    assert table.invalidate({}) == []
    assert (table.world, len(table)) == (1, len(nodes))


@given(graphs(), st.data())
def test_what_nobody_holds_is_released_and_no_more(graph: tuple, data: st.DataObject) -> None:
    table, nodes, links = graph
    held = {nodes[number] for number in data.draw(st.sets(st.integers(0, len(nodes) - 1)))}
    start = data.draw(st.integers(0, len(nodes) - 1))
    gone = set(table.release(nodes[start], lambda node: node in held))
    assert not gone & held
    for node in gone:
        callers = {nodes[caller] for caller, callees in links.items() if int(node.label) in callees} - {node}
        assert callers <= gone, "a caller still needs it"
    assert len(table) == len(nodes) - len(gone)


def test_a_node_that_is_replaced_leaves_its_neighbours_valid() -> None:
    table = MethodTable()
    caller, middle, callee = (table.add(name, CodeNode(name)) for name in "abc")
    caller.link(middle)
    middle.link(callee)
    table.remove(middle)
    assert table.invalidate({callee: CAUSE})[0].node is callee
    assert (caller.max_world, table.get("a")) == (None, caller)
