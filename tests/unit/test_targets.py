"""CPU targets: the grammar, what is refused and where, and which target a machine takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aotnb.core.targets import CPUS, Target, enabled, match_target, parse_targets, target_from
from aotnb.errors import BuildError

HOST = ("haswell", "+sse2,+sse4.1,+avx,+avx2,+fma,-avx512f")
X86 = CPUS["x86_64"]


def parsed(text: str) -> list[Target]:
    return parse_targets(text, HOST, "x86_64")


def features(*names: str) -> str:
    return ",".join(f"+{name}" for name in sorted(set().union(*(X86[name] for name in names))))


def test_julias_official_string_and_every_word() -> None:
    first, second, third = parsed("generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,base(1)")
    assert (first.name, first.cpu, first.clone_all, first.base) == ("generic", "x86-64", False, 0)
    assert (second.cpu, second.features, second.clone_all) == ("sandybridge", "-xsaveopt", True)
    assert "xsaveopt" not in second.needs
    assert third.base == 1
    assert "rdrnd" not in third.needs
    assert [t.size for t in parsed("generic,opt_size;x86-64-v2,min_size")] == ["optsize", "minsize"]
    (native,) = parsed("native,-fma,+aes")
    assert (native.name, native.features) == ("haswell", HOST[1] + ",-fma,+aes")
    assert native.needs == ("aes", "avx", "avx2", "sse2", "sse4.1")
    assert not parsed("generic;haswell,clone_all,-clone_all")[1].clone_all
    everything = parsed("generic;sandybridge,opt_size,-xsaveopt,clone_all;native,base(1),+aes")
    assert [t.label for t in everything] == ["generic", "sandybridge,-xsaveopt,clone_all,opt_size", "haswell,+aes,base(1)"]
    assert [target_from(json.loads(json.dumps(t.tree()))) for t in everything] == everything


def test_a_feature_brings_what_it_rests_on() -> None:
    (wide,) = parsed("generic,+avx2")
    assert {"avx2", "avx", "sse4.2", "ssse3"} <= set(wide.needs)
    assert match_target([wide, parsed("x86-64-v2")[0]], ("any", features("x86-64-v3")), "x86_64").why.startswith("the widest")
    (narrow,) = parsed("x86-64-v3,-avx")
    assert not {"avx", "avx2", "fma", "f16c"} & set(narrow.needs)
    assert "sse4.2" in narrow.needs


@pytest.mark.parametrize(
    ("text", "position", "accepted"),
    [
        ("", 1, "native, generic"),
        ("generic;", 9, "native, generic"),
        ("generic;pentium9", 9, "x86-64-v3"),
        ("generic;  haswell,  +nonsense", 21, "clone_all"),
        ("generic,base(0)", 9, "no base for the first target"),
        ("generic;haswell;skylake,base(1)", 25, r"base\(0\)"),
        ("generic;haswell,base(1)", 17, r"base\(0\)"),
        ("generic;haswell,,", 17, "opt_size"),
        ("native,clone all", 8, "clone_all"),
    ],
)
def test_a_bad_string_is_refused_with_position_and_accepted_words(text: str, position: int, accepted: str) -> None:
    with pytest.raises(BuildError, match=f"position {position}: .*accepted: .*{accepted}"):
        parsed(text)


WORDS = st.sampled_from(
    ["clone_all", "-clone_all", "opt_size", "min_size", "+avx2", "-fma", "sse4.2", "base(0)", "base(1)", "base(2)"]
)


@given(st.lists(st.tuples(st.sampled_from(sorted(X86)), st.lists(WORDS, max_size=3)), min_size=1, max_size=5))
def test_what_is_accepted_keeps_the_rules(items: list[tuple[str, list[str]]]) -> None:
    text = ";".join(",".join([name, *words]) for name, words in items)
    try:
        targets = parsed(text)
    except BuildError as error:
        assert "base(" in str(error)  # nothing else in these strings can be wrong
        return
    assert [target.name for target in targets] == [name for name, _ in items]
    for number, target in enumerate(targets):
        assert target.base == 0 or (target.base < number and targets[target.base].clone_all)
        assert target_from(target.tree()) == target


def matched(text: str, host: tuple[str, str]) -> tuple[int | None, str]:
    match = match_target(parsed(text), host, "x86_64")
    return match.number, match.why


def test_the_rules_of_the_match_in_their_order() -> None:
    v3, v4 = features("x86-64-v3"), features("x86-64-v4")
    assert matched("generic;x86-64-v3;x86-64-v4", ("any", v4)) == (2, "the widest vectors (512 bits)")
    assert matched("generic;x86-64-v3;x86-64-v4", ("any", v3)) == (1, "the widest vectors (256 bits)")
    # the exact name excludes others, be they as wide or wider
    assert matched("generic;x86-64-v4;haswell", ("haswell", features("x86-64-v4", "haswell"))) == (2, "made for exactly this CPU")
    assert matched("x86-64-v3;haswell", ("any", features("haswell")))[0] == 1  # more features
    assert matched("haswell;x86-64-v3", ("any", features("haswell"))) == (0, f"the most features ({len(X86['haswell'])})")
    assert matched("generic;x86-64", ("any", "")) == (1, "the last of equals")
    assert matched("generic,opt_size;generic", ("any", "+avx2")) == (1, "the last of equals")


def test_none_fits_with_one_reason_for_each_target() -> None:
    match = match_target(parsed("haswell;x86-64-v4"), ("old", "+sse2"), "x86_64")
    assert match.number is None
    assert len(match.rejected) == 2
    assert all(f"target {number} (" in text and "which this old lacks" in text for number, text in enumerate(match.rejected))


@given(st.lists(st.sampled_from(sorted(X86)), min_size=1, max_size=5), st.sets(st.sampled_from(sorted(X86["znver4"]))))
def test_what_is_chosen_runs_on_the_host(names: list[str], have: set[str]) -> None:
    targets = parsed(";".join(names))
    match = match_target(targets, ("some", ",".join(f"+{name}" for name in have)), "x86_64")
    able = [n for n, target in enumerate(targets) if set(target.needs) <= have | X86["generic"]]
    assert (match.number in able) if able else match.number is None
    assert len(match.rejected) == len(targets) - len(able)


def test_features_that_a_string_turns_on() -> None:
    assert enabled("+a,-b,+c,-a,") == ["c"]
