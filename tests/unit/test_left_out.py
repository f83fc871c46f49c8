"""The list of what is left out: the sentences, the documentation and the reports come from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aotnb.core.left_out import LEFT_OUT, find, markdown, refusal
from aotnb.reports.explain import cure, reason

ROOT = Path(__file__).resolve().parents[2]


def case(kind: str) -> str:
    return refusal(kind, **{name: f"<{name}>" for name in re.findall(r"\{(\w+)\}", LEFT_OUT[kind].sentence)})


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_a_sentence_leads_back_to_its_entry(kind: str) -> None:
    assert find(case(kind)) is LEFT_OUT[kind]
    assert find(f"its callee m.f: {case(kind)}") is LEFT_OUT[kind]
    assert cure("not_relocatable", case(kind)) == LEFT_OUT[kind].cure


def test_another_sentence_has_the_cure_of_its_reason() -> None:
    assert find("K changed") is None
    assert cure("not_relocatable", "K changed") == reason("not_relocatable").do
    assert cure("global_changed", case("recursion")) == reason("global_changed").do


def test_the_documentation_has_the_list() -> None:
    assert markdown() in (ROOT / "docs" / "reference" / "left-out.md").read_text()


def test_every_kind_is_used() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "aotnb").rglob("*.py"))
    assert {kind for kind in LEFT_OUT if f'refusal("{kind}"' not in sources} == set()
