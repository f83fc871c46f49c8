"""Canonical names of code follow from its content: not from Numba's counter, not from addresses, not from the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from textwrap import dedent
from typing import Any

import llvmlite.binding as ll
import pytest

from aotnb.bridge.irtext import CanonicalLibrary, RawLibrary, canonicalize, module_texts, unordered
from aotnb.errors import NotRelocatable

# ---- what Numba makes -----------------------------------------------------------------------------------------------

# Each defines f, which is called with 5. The second element of a pair must get another name than the first.
SOURCES: dict[str, str] = {
    "arithmetic": "def f(x):\n    return x * 3 + 1",
    "other constant": "def f(x):\n    return x * 3 + 2",
    "constant of another type": "def f(x):\n    return x * 3 + 1.0",
    "strings": 'def f(x):\n    return \'percent % at @x "quoted" ; c"x" \\\\ \\n \\u1234\'[x]',
    "other strings": 'def f(x):\n    return \'percent % at @y "quoted" ; c"x" \\\\ \\n \\u1234\'[x]',
    "names of this module in strings": (
        "def f(x):\n    return '_ZN08NumbaEnv .const.picklebuf.1 SELF.f0 @PyExc_ValueError aotnb.data.x'[x]"
    ),
    "exception": "def f(x):\n    if x > 9:\n        raise ValueError('large', 1)\n    return x",
    "other exception": "def f(x):\n    if x > 9:\n        raise KeyError('large', 1)\n    return x",
    "other message": "def f(x):\n    if x > 9:\n        raise ValueError('larger', 1)\n    return x",
    "two exceptions": "def f(x):\n    if x > 9:\n        raise ValueError('large')\n    assert x > 0, 'small'\n    return x",
    "assertion": "def f(x):\n    assert x > 0\n    return x",
    "exception caught": (
        "def f(x):\n"
        "    try:\n"
        "        if x > 9:\n"
        "            raise ValueError('large')\n"
        "    except Exception:\n"
        "        return 1\n"
        "    return x"
    ),
    "recursion": "def f(x):\n    return 1 if x < 2 else x * f(x - 1)",
    "other recursion": "def f(x):\n    return 2 if x < 2 else x * f(x - 1)",
    "mutual recursion": (
        "def f(x):\n    return True if x == 0 else g(x - 1)\n@njit\ndef g(x):\n    return False if x == 0 else f(x - 1)"
    ),
    "callee": "def f(x):\n    return g(x) + 1\n@njit\ndef g(x):\n    return x * 2",
    "other callee": "def f(x):\n    return g(x) + 1\n@njit\ndef g(x):\n    return x * 3",
    "callee of two signatures": "def f(x):\n    return g(x) + g(1.5)\n@njit\ndef g(x):\n    return x * 2",
    "allocation": "def f(x):\n    a = np.zeros(x)\n    a[1] = 2\n    return a.sum()",
    "print": "def f(x):\n    print('in f', x)\n    return x",
    "dictionary": "def f(x):\n    d = {1: 'a'}\n    d[x] = 'b'\n    return len(d)",
    "set": "def f(x):\n    return len({1, 2, x})",
    "closure": "def f(x):\n    def inner(y):\n        return y + x\n    return inner(2)",
    "generator": (
        "def f(x):\n"
        "    total = 0\n"
        "    for y in g(x):\n"
        "        total += y\n"
        "    return total\n"
        "@njit\n"
        "def g(x):\n"
        "    yield x\n"
        "    yield 2"
    ),
    "global array": "def f(x):\n    return A[x % 3]\nA = np.array([1, 2, 3])",
    "mathematics": "def f(x):\n    return math.sin(x) + np.exp(x) + x ** 0.5",
}

SCRIPT = """
import json, math, sys
import numpy as np
from numba import njit
from aotnb import session
from aotnb.building.plan import Planner

sources, order, noise = json.load(sys.stdin)
session.activate()
recorder = session._session.recorder
recorder.find_again = None  # compile equal functions as often as they are defined
for number in range(noise):
    exec("@njit\\ndef noise(x):\\n    return x + %d\\nnoise(1)" % number, {"njit": njit, "__name__": "__main__"})
found, texts = {}, {}
for name in order:
    namespace = {"njit": njit, "np": np, "math": math, "__name__": "__main__"}
    exec("@njit\\n" + sources[name], namespace)
    answer = namespace["f"](5)
    instance = next(i for i in recorder.instances if i.dispatcher is namespace["f"])
    planner = Planner(recorder)
    library = planner.library_name(instance)
    found.setdefault(name, []).append(library)
    texts.setdefault(name, []).append(planner._groups[id(instance.result.library)].canonical.text)
json.dump([found, texts], open(sys.argv[1], "w"))
"""


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """Return name and text of each source, from two processes; the second compiles everything twice, backwards, after others."""
    folder = tmp_path_factory.mktemp("irtext")
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in SOURCES}
    for seed, order, noise in [("1", list(SOURCES), 0), ("2", list(reversed(SOURCES)) * 2, 7)]:
        result = folder / seed
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(result)],
            input=json.dumps([SOURCES, order, noise]),
            env=os.environ | {"PYTHONHASHSEED": seed, "AOTNB_HOME": str(folder)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        libraries, texts = json.loads(result.read_text())
        for name in SOURCES:
            found[name] += zip(libraries[name], texts[name], strict=True)
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_equal_code_has_one_name_in_all_processes(source: str, names: dict[str, list[tuple[str, str]]]) -> None:
    assert len(names[source]) == 3
    assert len({name for name, _ in names[source]}) == 1
    assert len({text for _, text in names[source]}) == 1


def test_other_code_has_another_name(names: dict[str, list[tuple[str, str]]]) -> None:
    by_name: dict[str, set[str]] = {}
    for source, found in names.items():
        for name, _ in found:
            by_name.setdefault(name, set()).add(source)
    assert {frozenset(sources) for sources in by_name.values()} == {frozenset({source}) for source in SOURCES}


@pytest.mark.parametrize("source", SOURCES)
def test_the_text_is_what_llvm_accepts(source: str, names: dict[str, list[tuple[str, str]]]) -> None:
    name, text = names[source][0]
    for module in module_texts(text):
        parsed = ll.parse_assembly(module)
        parsed.verify()
        defined = [function.name for function in parsed.functions if not function.is_declaration]
        assert defined
        assert all(function.startswith(name) for function in defined if ".missing_environment" not in function)


# ---- by hand --------------------------------------------------------------------------------------------------------

MODULE = """
target triple = "x86_64-unknown-linux-gnu"
"""


def raw(*texts: str, label: str = "m.f", identity: Any = None) -> RawLibrary:
    return RawLibrary(label, [str(ll.parse_assembly(MODULE + dedent(text))) for text in texts], identity)


def canonical(*texts: str, known: dict[str, str] | None = None, **rest: Any) -> CanonicalLibrary:
    return canonicalize(raw(*texts, **rest), known or {})


ADD = """
define i64 @"f_v1_B42c8tJTC"(i64 %x.3) {
entry.7:
  %sum.9 = add i64 %x.3, 1
  ret i64 %sum.9
}
"""


def test_names_of_functions_values_and_blocks_do_not_matter() -> None:
    renamed = ADD.replace("f_v1_B42c8tJTC", "f_v77_other").replace(".3", ".33").replace("entry.7", "start").replace("sum.9", "y")
    one, other = canonical(ADD), canonical(renamed)
    assert (one.name, one.text) == (other.name, other.text)
    assert one.functions == {"f_v1_B42c8tJTC": f"{one.name}.f0"}
    assert other.functions == {"f_v77_other": f"{one.name}.f0"}


def test_the_label_stands_in_front_without_addresses() -> None:
    assert canonical(ADD, label="m.f").name.startswith("m.f.")
    assert canonical(ADD, label="f at 0x7f12ab").name == canonical(ADD, label="f at 0x7f99cd").name


DEFERRED = """
%deferred.140473807572240.data.12.66 = type { { ptr, ptr } }
define i64 @f(ptr %a) {
  %b = getelementptr %deferred.140473807572240.data.12.66, ptr %a, i32 0
  ret i64 0
}
"""


def test_types_that_refer_to_themselves_are_numbered() -> None:
    other = DEFERRED.replace("140473807572240", "140532194653712").replace("12.66", "12.9")
    assert (canonical(DEFERRED).name, canonical(DEFERRED).text) == (canonical(other).name, canonical(other).text)
    assert canonical(DEFERRED).name != canonical(DEFERRED.replace("{ ptr, ptr }", "{ ptr }")).name


def test_what_is_hashed_besides_the_code() -> None:
    assert canonical(ADD, identity=["int", "1"]).name != canonical(ADD, identity=["float", "1.0"]).name
    assert canonical(ADD).name != canonical(ADD.replace("add", "sub")).name
    assert canonical(ADD).name != canonical(ADD, ADD.replace("f_v1", "g_v1")).name


STRING = """
@".const.%s" = internal constant [24 x i8] c"@f %%x \\22SELF.f0\\22 define \\00"
define ptr @f() {
  ret ptr @".const.%s"
}
"""


def test_the_content_of_strings_is_left_alone() -> None:
    one, other = (canonical(STRING % (name, name)) for name in ("a 0x7f12", "b 0x7f34"))
    assert (one.name, one.text) == (other.name, other.text)
    assert 'c"@f %x \\22SELF.f0\\22 define \\00"' in one.text
    assert one.name != canonical((STRING % ("a", "a")).replace("%%x", "%%y").replace("@f %x", "@f %y")).name


def test_a_string_that_looks_like_a_placeholder() -> None:
    text = '@s = internal constant [9 x i8] c"@SELF.f0\\00"\ndefine ptr @f() {\n  ret ptr @s\n}\n'
    found = canonical(text)
    assert 'c"@SELF.f0\\00"' in found.text


ENVIRONMENTS = """
@_ZN08NumbaEnv8__main__1fB{0} = common global ptr null
@.const.picklebuf.{1} = internal constant {{ ptr, i32, ptr, ptr, i32 }} zeroinitializer
@numba.dynamic.globals.{2} = linkonce_odr global ptr inttoptr (i64 {2} to ptr)
define ptr @f() {{
  %a = load ptr, ptr @_ZN08NumbaEnv8__main__1fB{0}
  %b = load ptr, ptr @.const.picklebuf.{1}
  %c = load ptr, ptr @numba.dynamic.globals.{2}
  ret ptr %c
}}
"""


def test_what_belongs_to_a_process_becomes_a_slot() -> None:
    one, other = canonical(ENVIRONMENTS.format("v1", "abc", "4711")), canonical(ENVIRONMENTS.format("v2", "def", "4712"))
    assert (one.name, one.text) == (other.name, other.text)
    kinds = {slot.removeprefix(one.name): (kind, key) for slot, (kind, key) in one.slots.items()}
    assert kinds == {
        ".env.0": ("env", "_ZN08NumbaEnv8__main__1fBv1"),
        ".obj.0": ("obj", "abc"),
        ".dyn.0": ("dyn", "4711"),
    }
    assert "4711" not in one.text
    for slot in one.slots:
        assert f"{slot} = external hidden global" in one.text.replace('"', "")


CALLER = """
declare i64 @g_v1(i64)
declare ptr @NRT_Allocate(i64)
define i64 @f(i64 %x) {
  %p = call ptr @NRT_Allocate(i64 8)
  %y = call i64 @g_v1(i64 %x)
  ret i64 %y
}
"""


def test_callees_in_other_libraries_are_called_by_their_canonical_names() -> None:
    one = canonical(CALLER, known={"g_v1": "m.g.123.f0"})
    assert one.uses == {"m.g.123.f0"}
    assert one.externals == {"NRT_Allocate"}
    assert "call i64 @m.g.123.f0(" in one.text
    assert one.name == canonical(CALLER.replace("g_v1", "g_v2"), known={"g_v2": "m.g.123.f0"}).name
    assert one.name != canonical(CALLER, known={"g_v1": "m.g.456.f0"}).name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("define ptr @f() {\n  ret ptr inttoptr (i64 140000000000 to ptr)\n}\n", "holds the address 0x"),
        (
            (
                '@".numba.unresolved$other" = external global ptr\n'
                'define ptr @f() {\n  %p = load ptr, ptr @".numba.unresolved$other"\n  ret ptr %p\n}\n'
            ),
            "left unresolved",
        ),
    ],
    ids=["address", "recursion"],
)
def test_code_that_only_this_process_could_run_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotRelocatable, match=why):
        canonical(text)


def test_classes_of_exceptions_are_loaded_from_a_slot() -> None:
    """Numba binds PyExc_* to the class, libpython exports a variable that points at it."""
    found = canonical("@PyExc_ValueError = external global ptr\ndefine ptr @f() {\n  ret ptr @PyExc_ValueError\n}\n")
    assert found.externals == {"aotnb.data.PyExc_ValueError"}
    assert "load ptr, ptr @aotnb.data.PyExc_ValueError" in found.text
    ll.parse_assembly(found.text).verify()


def test_modules_of_a_library_are_told_apart() -> None:
    found = canonical(ADD, ADD.replace("f_v1", "g_v1"))
    assert len(module_texts(found.text)) == 2
    assert sorted(found.functions.values()) == [f"{found.name}.f0", f"{found.name}.f1"]


@pytest.mark.parametrize("label", ["m.f(int64).", "m.f...."], ids=["whole", "cut"])
def test_the_order_of_instructions_can_be_left_aside(label: str) -> None:
    one = f'entry:\n  %v1 = alloca i64\n  %v2 = alloca double\n  store i64 0, ptr %v1\n  call void @"{label}0123456789abcdef0123.f0"(ptr %v2)'
    other = f'entry:\n  %v1 = alloca double\n  %v2 = alloca i64\n  call void @"{label}fedcba9876543210fedc.f0"(ptr %v1)\n  store i64 0, ptr %v2'
    assert unordered(one) == unordered(other)
    assert unordered(one) != unordered(other.replace("i64 0", "i64 1"))


def test_numbers_of_functions_in_what_is_said_of_variables_can_be_left_aside() -> None:
    one = """@"m.c1" = internal constant [25 x i8] c"name 'a__v477_x' is not def\\00\""""
    other = """@"m.c1" = internal constant [23 x i8] c"name 'a__v3_x' is not def\\00\""""
    assert unordered(one) == unordered(other)
    assert unordered(one) != unordered(other.replace("_x'", "_y'"))


def test_functions_that_only_their_objects_tell_apart_count_once_among_the_declarations() -> None:
    one = 'define void @f() {\n  ret void\n}\ndeclare i32 @"m.g.0123456789abcdef0123.f0"(ptr)'
    other = one + '\ndeclare i32 @"m.g.fedcba9876543210fedc.f0"(ptr)'
    assert unordered(one) == unordered(other)
    assert unordered(one) != unordered(other + '\ndeclare i32 @"m.h.fedcba9876543210fedc.f0"(ptr)')


def test_what_is_declared_for_its_type_alone_is_not_needed() -> None:
    raw = ADD.replace("define ", "declare i64 @next_uint64(i64)\ndefine ", 1)
    assert canonical(raw).externals == canonical(ADD).externals
    called = raw.replace("  ret ", "  %spare = call i64 @next_uint64(i64 0)\n  ret ", 1)
    assert canonical(called).externals == canonical(ADD).externals | {"next_uint64"}


DEBUG = """
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!1}
!0 = distinct !DICompileUnit(language: DW_LANG_C_plus_plus, file: !2, emissionKind: FullDebug)
!1 = !{i32 2, !"Debug Info Version", i32 3}
!2 = !DIFile(filename: "f.py", directory: "/")
!3 = distinct !DISubprogram(name: "f", linkageName: "f_v1_B42c8tJTC", file: !2, type: !4, spFlags: DISPFlagDefinition, unit: !0)
!4 = !DISubroutineType(types: !{null})
"""


def test_debug_information_has_the_canonical_name() -> None:
    text = ADD.replace("(i64 %x.3) {", "(i64 %x.3) !dbg !3 {") + DEBUG
    one, other = canonical(text), canonical(text.replace("f_v1_B42c8tJTC", "f_v77_other"))
    assert (one.name, one.text) == (other.name, other.text)
    assert f'linkageName: "{one.name}.f0"' in one.text
    ll.parse_assembly(one.text).verify()
