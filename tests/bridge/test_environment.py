"""The environment key: every switch of Numba counts unless it is proven not to."""

from __future__ import annotations

from types import FunctionType, ModuleType

import pytest
from numba.core import config
from numba.core.rewrites import Rewrite, rewrite_registry

from aotnb.bridge.environment import IRRELEVANT, process_tree, relevant_switches, switches_digest

# Decided on, in the two newest versions of Numba. A variable that is in neither list fails a test: read what it does, then
# add it here (it is in the key already, for safety), or to IRRELEVANT if no code of the CPU target can depend on it.
DECIDED = frozenset(
    {
        "BOUNDSCHECK", "DEBUG", "DEBUGINFO_DEFAULT", "DEBUG_ARRAY_OPT", "DEBUG_ARRAY_OPT_RUNTIME",
        "DEBUG_ARRAY_OPT_STATS", "DEBUG_JIT", "DEBUG_NRT", "DEBUG_NRT_STACK_LIMIT", "DIFF_IR", "DISABLE_INTEL_SVML",
        "DISABLE_JIT", "DISABLE_TYPEINFER_FAIL_CACHE", "ENABLE_AVX", "ENABLE_PROFILING", "ENABLE_SYS_MONITORING",
        "EXTEND_VARIABLE_LIFETIMES", "FULL_TRACEBACKS", "GDB_BINARY", "LLVM_REFPRUNE_FLAGS", "LLVM_REFPRUNE_PASS", "LOOP_VECTORIZE", "NRT_STATS",
        "OPT", "PARFOR_MAX_TUPLE_SIZE", "RUNNING_UNDER_PROFILER", "SLP_VECTORIZE", "THREADING_LAYER",
        "THREADING_LAYER_PRIORITY", "USE_LLVMLITE_MEMORY_MANAGER",
    }
)  # fmt: skip
NO_SWITCHES = {"_config_fname", "_env_reloader"}  # the machinery of numba.config


def variables() -> set[str]:
    """Return the names in numba.config that hold values."""
    code = FunctionType | ModuleType | type
    return {
        name for name, value in vars(config).items() if not name.startswith("__") and not isinstance(value, code)
    } - NO_SWITCHES


@pytest.fixture(autouse=True)
def reread() -> None:
    """Start with the switches as the environment has them."""
    switches_digest()


# ---- default deny ---------------------------------------------------------------------------------------------------


def test_each_variable_is_decided_on() -> None:
    undecided = {name for name in variables() - DECIDED - IRRELEVANT if not name.startswith("CUDA_")}
    assert undecided == set()


def test_no_variable_is_decided_on_twice() -> None:
    assert DECIDED & IRRELEVANT == set()


def test_what_is_decided_is_what_is_done() -> None:
    assert relevant_switches().keys() == variables() & DECIDED


def test_a_variable_of_a_newer_numba_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = switches_digest()
    monkeypatch.setattr(config, "BRAND_NEW", 0, raising=False)
    after, texts = switches_digest()
    assert before != after
    assert texts["BRAND_NEW"] == "0"


# ---- the digest -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(DECIDED & vars(config).keys()))
def test_a_changed_switch_changes_the_digest(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, texts = switches_digest()
    monkeypatch.setattr(config, name, "something else")
    changed, changed_texts = switches_digest()
    assert changed != before
    assert {key for key in texts if texts[key] != changed_texts[key]} == {name}
    monkeypatch.undo()
    assert switches_digest() == (before, texts)


@pytest.mark.parametrize("name", sorted(IRRELEVANT & vars(config).keys()))
def test_an_irrelevant_variable_does_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = switches_digest()
    monkeypatch.setattr(config, name, "something else")
    assert switches_digest() == before


def test_a_variable_of_the_environment_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba reads its variables anew at each compilation, so one that is set in a cell counts in the next."""
    before = switches_digest()
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    changed = switches_digest()
    assert changed != before
    assert changed[1]["BOUNDSCHECK"] == "1"
    monkeypatch.delenv("NUMBA_BOUNDSCHECK")
    assert switches_digest() == before


def test_two_levels_of_optimisation_that_compare_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    """``max`` runs the first of Numba's two steps at full strength; as a number it is 3."""
    monkeypatch.setenv("NUMBA_OPT", "3")
    three, _ = switches_digest()
    monkeypatch.setenv("NUMBA_OPT", "max")
    assert switches_digest()[1]["OPT"] == "'max'"
    assert switches_digest()[0] != three


def test_tracebacks_in_full_are_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under FULL_TRACEBACKS the bounds checks that Numba compiles print."""
    quiet, _ = switches_digest()
    monkeypatch.setattr(config, "FULL_TRACEBACKS", 1)
    assert switches_digest()[0] != quiet


# ---- process and machine --------------------------------------------------------------------------------------------


def test_the_process_is_described_by_plain_data() -> None:
    tree = process_tree()
    assert tree == process_tree()
    assert {type(value) for value in tree.values()} == {str, bool}
    assert all(value != "" for value in tree.values())


# ---- rewrites of code -----------------------------------------------------------------------------------------------


def test_a_rewrite_that_others_register_counts_with_what_it_reads() -> None:
    found = {}
    for name in ("none", "one", "another"):
        passes = rewrite_registry.rewrites["before-inference"]
        if name != "none":
            source = f"class Pass(Rewrite):\n    def match(self, *args):\n        return NAME == {name!r}\n"
            namespace = {"Rewrite": Rewrite, "NAME": name, "__name__": "a_user_s_module"}
            exec(source, namespace)
            passes.append(namespace["Pass"])
        try:
            found[name] = switches_digest()[0]
        finally:
            if name != "none":
                passes.pop()
    assert len(set(found.values())) == 3
    assert switches_digest()[0] == found["none"]
