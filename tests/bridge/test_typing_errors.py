"""What the oracle compares of errors: their words, for Numba writes sets in any order."""

from __future__ import annotations

from aotnb.bridge.typing_errors import words


def test_order_and_indentation_do_not_count_and_words_do() -> None:
    one = ["TypingError", [["Difference: {kw=12, kw=None}\n  raised from ", ["raised", ["own", 0, 3]]]], None]
    other = ["TypingError", [["   Difference: {kw=None, kw=12}\nraised from ", ["raised", ["own", 0, 3]]]], None]
    assert words(one) == words(other)
    assert words(one) != words([*other[:1], [["Difference: {kw=None, kw=13}\nraised from ", ["raised", ["own", 0, 3]]]], None])
    assert words(one) != words([*other[:1], [["Difference: {kw=None, kw=12}\nraised from ", ["raised", ["own", 0, 4]]]], None])
