"""Images between and within real processes: bytes, linkers, appending, and what a served function looks like.

Each test runs small scripts in processes of their own; ``report(...)`` in a script hands values back to the test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from harness import clean_environment

from aotnb.building.link import LINKERS, find_linkers
from aotnb.core.left_out import refusal
from aotnb.image.reader import describe

Run = Callable[..., dict[str, Any]]

PRELUDE = """
import json, os, sys
import aotnb
IMAGE = "image.aot"

def report(**values):
    with open("report.json", "w") as file:
        json.dump(values, file)

def compiled():
    "Return the names of what was compiled so far, by the JIT."
    import aotnb.session
    return [c.function for c in aotnb.session.compiled()]

def served():
    return [s.function for s in aotnb.status().served]
"""

LIB = """
import numpy as np
from numba import njit

K = 3

@njit
def helper(x):
    return x * K

@njit
def f(x):
    if x < 0:
        raise ValueError("negative", 7)
    return helper(x) + 1

@njit
def total(a):
    s = 0.0
    for i in range(a.size):
        s += helper(a[i])
    return s

@njit
def text(s):
    return "<" + s + ">"
"""

USE = """
import numpy as np
import lib

def use():
    answers = [lib.f(2), lib.f(2.5), lib.total(np.arange(4.0)), lib.text("a"), str(type(lib.f(1)))]
    try:
        lib.f(-1)
    except ValueError as error:
        answers.append(repr(error.args))
    return answers
"""


def lay_out(folder: Path) -> None:
    (folder / "lib.py").write_text(LIB)
    (folder / "use.py").write_text(USE)


def start(folder: Path, script: str, env: dict[str, str]) -> dict[str, Any]:
    lay_out(folder)
    (folder / "report.json").unlink(missing_ok=True)
    (folder / "script.py").write_text(PRELUDE + dedent(script))
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=clean_environment(folder) | env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "report.json").read_text())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a script in a new process, in a folder with ``lib.py``, and returns what it reports."""
    return lambda script, **env: start(tmp_path, script, env)


SAVE = """
with aotnb.trace():
    from use import use
    answers = use()
saved = aotnb.save(IMAGE, link={link!r})
report(answers=answers, linker=saved.linker, dropped=[d.function for d in saved.dropped], jit=compiled())
"""
LOAD = """
loaded = aotnb.load(IMAGE)
from use import use
report(answers=use(), linked=loaded.linked, jit=compiled(), served=served())
"""
NAMES = ["f", "f", "text", "total"]  # f for int64 and for float64


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What ``use()`` returns without aotnb."""
    folder = tmp_path_factory.mktemp("plain")
    lay_out(folder)
    code = "import json; from use import use; print(json.dumps(use()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=clean_environment(folder), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image of what ``use()`` compiles."""
    folder = tmp_path_factory.mktemp("made")
    start(folder, SAVE.format(link="auto"), {})
    return folder


@pytest.fixture
def image(made: Path, tmp_path: Path) -> Path:
    """A copy of that image, and of the key that it was signed with."""
    shutil.copytree(made / "home", tmp_path / "home")
    return Path(shutil.copy(made / "image.aot", tmp_path))


# ---- linkers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variable", "values"), [("PYTHONHASHSEED", ("1", "2")), ("AOTNB_IMAGE_THREADS", ("1", "3"))])
def test_image_bytes_depend_neither_on_the_hash_seed_nor_on_the_number_of_shards(
    run: Run, tmp_path: Path, variable: str, values: tuple[str, str]
) -> None:
    images = []
    for value in values:
        run(SAVE.format(link="in-process"), **{variable: value})
        images.append((tmp_path / "image.aot").read_bytes())
    assert images[0] == images[1]


@pytest.mark.parametrize("link", LINKERS)
def test_every_linker_gives_the_answers_of_numba_without_compiling(run: Run, link: str, plain: list[Any]) -> None:
    if link != "in-process" and link not in find_linkers():
        pytest.skip(f"there is no {link} here" + (": pip install 'aotnb[zig]' brings it" if link == "zig" else ""))
    saved = run(SAVE.format(link=link))
    assert saved["answers"] == plain
    assert (saved["linker"], saved["dropped"]) == (link, [])
    loaded = run(LOAD)
    assert loaded["answers"] == plain
    assert loaded["linked"] == ("in-process" if link == "in-process" else "dlopen")
    assert loaded["jit"] == []
    assert sorted(loaded["served"]) == NAMES


@pytest.mark.skipif("zig" in find_linkers(), reason="zig's package is found without a PATH")
def test_without_any_linker_the_objects_are_placed_at_load(run: Run, tmp_path: Path, plain: list[Any]) -> None:
    (tmp_path / "empty").mkdir()
    saved = run(SAVE.format(link="auto"), PATH=str(tmp_path / "empty"))
    assert saved["linker"] == "in-process"
    loaded = run(LOAD, PATH=str(tmp_path / "empty"))
    assert (loaded["answers"], loaded["jit"]) == (plain, [])


def test_a_linker_that_is_missing_is_named_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    found = run(
        """
        with aotnb.trace():
            from use import use
            use()
        errors = []
        for link in ("cc", "gold"):
            try:
                aotnb.save(IMAGE, link=link)
            except aotnb.errors.LinkError as error:
                errors.append(str(error))
        report(errors=errors, exists=os.path.exists(IMAGE))
        """,
        PATH=str(tmp_path),
    )
    assert "cc, which is not there; install a C compiler" in found["errors"][0]
    assert "unknown linker 'gold'" in found["errors"][1]
    assert not found["exists"]


# ---- one process ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["auto", "in-process"])
def test_save_edit_and_save_again_to_one_path_in_one_process(run: Run, link: str) -> None:
    """The system's loader knows libraries by name: the second image must not be answered with the code of the first."""
    found = run(
        f"""
        from numba import njit
        SOURCE = "@njit\\ndef g(x):\\n    return x + {{0}}\\n"
        def define(constant):
            exec(SOURCE.format(constant), globals())
        answers = []
        for constant in (1, 20, 1):
            define(constant)
            with aotnb.trace() as trace:
                g(1)
            aotnb.save(IMAGE, trace if trace.compilations else None, link="{link}")
            aotnb.load(IMAGE)
            define(constant)  # a new function of the same definition is served
            before = len(compiled())
            answers.append([g(1), len(compiled()) - before])
        report(answers=answers, images=len(aotnb.status().images))
        """
    )
    assert [answer for answer, _ in found["answers"]] == [2, 21, 2]
    assert [compiled for _, compiled in found["answers"]] == [0, 0, 0]


def test_loading_costs_no_compilation_and_does_not_touch_the_compiler(run: Run, image: Path) -> None:
    found = run(
        """
        import numba
        before = set(sys.modules)
        loaded = aotnb.load(IMAGE)
        report(jit=compiled(), entries=loaded.entries, lib="lib" in sys.modules,
               heavy=sorted({"IPython", "pandas", "matplotlib"} & set(sys.modules)))
        """
    )
    assert found == {"jit": [], "entries": 4, "lib": False, "heavy": []}


@pytest.mark.parametrize("first", ["load", "import"])
def test_before_or_after_the_import_of_the_library(run: Run, image: Path, first: str, plain: list[Any]) -> None:
    steps = ["aotnb.load(IMAGE)", "import use"]
    found = run(
        "\n".join(steps if first == "load" else reversed(steps))
        + "\nreport(answers=use.use(), jit=compiled(), served=served())\n"
    )
    assert (found["answers"], found["jit"]) == (plain, [])
    assert set(found["served"]) == set(NAMES)


def test_a_global_bound_between_load_and_first_call_counts(run: Run, image: Path) -> None:
    found = run(
        """
        aotnb.load(IMAGE)
        import lib
        lib.K = 5
        report(answer=lib.f(2), text=lib.text("a"), misses=[(m.function, m.reason) for m in aotnb.misses()], served=served())
        """
    )
    assert found == {"answer": 11, "text": "<a>", "misses": [["f", "global_changed"]], "served": ["text"]}


COUNT = """
from numba import njit

@njit
def count(a, n):
    return n if n > 4 else count(a, n + 1) + a

@njit
def start(a):
    return count(a, 0)  # compiled for a literal 0, which calls the code for any number
"""


def test_a_recursion_that_starts_with_a_literal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "count.py").write_text(COUNT)
    saved = run("with aotnb.trace():\n    import count\n    count.start(2)\nreport(dropped=len(aotnb.save(IMAGE).dropped))\n")
    found = run("aotnb.load(IMAGE)\nimport count\nreport(answers=[count.start(2), count.count(2, 3)], jit=compiled())\n")
    assert (saved["dropped"], found["answers"][0], found["jit"]) == (0, 15, ["count"])


def test_a_function_of_a_library_for_a_type_of_the_script(run: Run, tmp_path: Path) -> None:
    (tmp_path / "points.py").write_text("from numba import njit\n\n@njit\ndef norm(p):\n    return p.x * p.x + p.y * p.y\n")
    use = """
        from collections import namedtuple
        from numba import float64
        from numba.experimental import jitclass
        import points
        Point = namedtuple("Point", "x y")
        @jitclass([("x", float64), ("y", float64)])
        class Moving:
            def __init__(self, x, y):
                self.x, self.y = x, y
        answers = [points.norm(Point(3.0, 4.0)), points.norm(Moving(6.0, 8.0))]
        """
    use = dedent(use)
    saved = run("aotnb.activate()\n" + use + "report(answers=answers, dropped=len(aotnb.save(IMAGE).dropped))\n")
    assert saved == {"answers": [25.0, 100.0], "dropped": 0}
    assert run("aotnb.load(IMAGE)\n" + use + "report(answers=answers, jit=compiled())\n") == {"answers": [25.0, 100.0], "jit": []}


EXTENSION = """
import operator
from numba.core import types
from numba.core.typing.templates import AbstractTemplate, infer, signature

class Money(types.Type):
    def __init__(self):
        super().__init__(name="Money")

@infer
class Arithmetic(AbstractTemplate):
    key = operator.mul

    def generic(self, args, kws):
        if any(isinstance(arg, Money) for arg in args):
            return signature(Money(), *args)
"""


def test_an_installed_extension_types_arithmetic_of_its_own(run: Run, tmp_path: Path) -> None:
    """As awkward and vector do: code that is not about their types is saved and served, while they decide the same."""
    site = tmp_path / "site-packages"
    site.mkdir()
    (site / "extension.py").write_text(EXTENSION)
    use = "import sys\nsys.path.insert(0, 'site-packages')\nimport extension, lib\nanswers = [lib.f(2)]\n"
    saved = run("aotnb.activate()\n" + use + "report(answers=answers, dropped=len(aotnb.save(IMAGE).dropped))\n")
    assert saved == {"answers": [7], "dropped": 0}
    assert run("aotnb.load(IMAGE)\n" + use + "report(answers=answers, jit=compiled())\n") == {"answers": [7], "jit": []}
    (site / "extension.py").write_text(EXTENSION.replace("any(", "all("))
    assert run("aotnb.load(IMAGE)\n" + use + "report(answers=answers, jit=compiled())\n")["jit"] == ["f", "helper"]


def test_an_extension_that_numba_loads_by_itself(run: Run, tmp_path: Path) -> None:
    """Its entry point is called before anything is compiled, and so before an image is asked what a decorator asks for."""
    site = tmp_path / "site-packages"
    metadata = site / "extension-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: extension\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[numba_extensions]\ninit = extension:init\n")
    (site / "extension.py").write_text(EXTENSION + "\ndef init():\n    pass\n")
    (tmp_path / "early.py").write_text('from numba import njit\n@njit("int64(int64)")\ndef double(x):\n    return x * 2\n')
    use = (
        "import sys\nsys.path.insert(0, 'site-packages')\nimport early\nanswers = [early.double(2), 'extension' in sys.modules]\n"
    )
    saved = run("aotnb.activate()\n" + use + "report(answers=answers, dropped=len(aotnb.save(IMAGE).dropped))\n")
    assert saved == {"answers": [4, True], "dropped": 0}
    assert run("aotnb.load(IMAGE)\n" + use + "report(answers=answers, jit=compiled())\n") == {"answers": [4, True], "jit": []}


def test_code_that_llvm_cannot_compile_costs_no_other_code(run: Run) -> None:
    saved = run(
        """
        import aotnb.building.shards as shards
        aotnb.activate()
        import use
        use.use()
        compile_unit = shards.compile_unit

        def compile_all_but_one(unit, *rest):
            if any("lib.total" in text for text in unit.own):
                raise NameError("total")
            return compile_unit(unit, *rest)

        shards.compile_unit = compile_all_but_one
        saved = aotnb.save(IMAGE)
        report(entries=saved.entries > 0, dropped=[(row.function, row.reason, "LLVM" in row.detail) for row in saved.dropped])
        """
    )
    assert saved == {"entries": True, "dropped": [["total", "not_relocatable", True]]}


# ---- adding to an image ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["auto", "in-process"])
def test_new_callers_of_served_functions_are_compiled_and_appended(run: Run, tmp_path: Path, link: str, plain: list[Any]) -> None:
    (tmp_path / "more.py").write_text(MORE)
    run(SAVE.format(link=link))
    found = run(
        f"""
        aotnb.load(IMAGE)
        import more
        answers = [more.g(2), more.g(2.5)]
        saved = aotnb.save(IMAGE, link="{link}", append=True)
        report(answers=answers, jit=compiled(), dropped=[d.detail for d in saved.dropped], entries=saved.entries,
               reused=saved.reused)
        """
    )
    assert found["reused"] >= 2  # nothing of the new code touches total and text
    assert found == {"answers": [14, 17.0], "jit": ["g", "g"], "dropped": [], "entries": 6, "reused": found["reused"]}
    again = run("aotnb.load(IMAGE)\nimport more, use\nreport(answers=[more.g(2), more.g(2.5)], use=use.use(), jit=compiled())\n")
    assert again == {"answers": [14, 17.0], "use": plain, "jit": []}


MORE = "from numba import njit\nimport lib\n\n@njit\ndef g(x):\n    return lib.f(x) * 2\n"


# ---- in the background ----------------------------------------------------------------------------------------------


def test_a_save_in_the_background_is_the_save_it_would_have_been(run: Run, tmp_path: Path) -> None:
    found = run(
        """
        aotnb.activate()
        import use
        use.use()
        told = []
        save = aotnb.save_in_background("background.aot", tell=told.append)
        import lib
        lib.f(True)  # compiled meanwhile, and no part of it
        report_of = save.wait()
        assert told == [save] and save.is_done()
        names = [report_of.path, repr(save).split(":")[0]]
        """
        "report(names=names, entries=report_of.entries)\n"
    )
    assert found == {"names": ["background.aot", "saved background.aot"], "entries": 4}
    run(SAVE.format(link="auto"))
    assert (tmp_path / "background.aot").read_bytes() == (tmp_path / "image.aot").read_bytes()


def test_a_save_in_the_background_that_ends_early_leaves_the_old_file(run: Run, tmp_path: Path) -> None:
    found = run(
        """
        aotnb.activate()
        import use
        use.use()
        from pathlib import Path
        Path("image.aot").write_text("old")
        said = []
        cancelled = aotnb.save_in_background(IMAGE)
        cancelled.cancel()
        for mistake in (cancelled.wait, lambda: aotnb.save_in_background("nowhere/image.aot")):
            try:
                mistake()
            except aotnb.errors.BuildError as error:
                said.append(str(error))
        report(said=said, text=Path("image.aot").read_text(), files=sorted(name for name in os.listdir() if "aot" in name))
        """
    )
    assert found == {
        "said": [
            "the build of image.aot was cancelled; what was there before is unchanged",
            "there is no folder nowhere; make it first",
        ],
        "text": "old",
        "files": ["image.aot"],
    }


@pytest.mark.skipif(shutil.which("ar") is None, reason="there is no ar here")
def test_what_else_is_emitted(run: Run, tmp_path: Path) -> None:
    found = run(
        """
        aotnb.activate()
        import lib
        lib.f(2)
        saved = aotnb.save(IMAGE, emit=["native", "object", "bitcode", "assembly"], cpu_target="generic;native,clone_all")
        import llvmlite.binding as ll
        data = open("image.bitcode.a", "rb").read()
        functions, place = [], 8
        while place < len(data):
            size = int(data[place + 48:place + 58])
            module = ll.parse_bitcode(data[place + 60:place + 60 + size])
            functions += [f.name for f in module.functions if not f.is_declaration and f.name.startswith("lib.f(int64)")]
            place += 60 + size + size % 2
        report(functions=len(functions) > 0, files=sorted(name for name in os.listdir() if name.startswith("image.")))
        """
    )
    assert found == {"functions": True, "files": ["image.aot", "image.assembly.a", "image.bitcode.a", "image.object.a"]}
    assert b"lib.f(int64)" in (tmp_path / "image.assembly.a").read_bytes()
    for kind, ending in (("object", "o"), ("bitcode", "bc"), ("assembly", "s")):
        listed = subprocess.check_output(["ar", "t", f"image.{kind}.a"], cwd=tmp_path, text=True).split()
        units = describe(tmp_path / "image.aot")["units"]
        assert [name.partition("-")[0] for name in listed] == [f"unit{number}" for number in range(units)]
        # all functions are cloned, so each target has half of the units
        assert [sum(name.endswith(f"-{target}.{ending}") for name in listed) for target in (0, 1)] == [units / 2, units / 2]


# ---- what a served function looks like ------------------------------------------------------------------------------

LOOK = """
import numpy as np
import lib
use = [lib.f(2), lib.f(2.5), lib.total(np.arange(4.0))]
def look(disp):
    return dict(
        signatures=[str(s) for s in disp.signatures],
        nopython=[str(s) for s in disp.nopython_signatures],
        overloads=[[str(a), str(cres.signature), cres.objectmode, cres.fndesc.qualname] for a, cres in disp.overloads.items()],
        result=str(disp.get_call_template((disp.signatures[0][0],), {})[0].__name__),
    )
looks = [look(lib.f), look(lib.total)]
"""


def test_a_served_function_looks_like_a_compiled_one(run: Run) -> None:
    compiled = run("from numba import njit\n" + LOOK + "report(looks=looks)\n")
    run("aotnb.activate()\n" + LOOK + "aotnb.save(IMAGE)\nreport()\n")
    loaded = run("aotnb.load(IMAGE)\n" + LOOK + "report(looks=looks, jit=compiled())\n")
    assert loaded["jit"] == []
    assert loaded["looks"] == compiled["looks"]


def test_a_served_function_can_be_used_anywhere(run: Run, image: Path) -> None:
    """From object mode, from threads, in a child process, pickled."""
    found = run(
        """
        aotnb.load(IMAGE)
        import pickle, subprocess, threading
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np
        from numba import jit, njit, objmode
        import lib

        @jit(forceobj=True)
        def from_object_mode(x):
            return lib.f(x) + lib.f(float(x))

        @njit
        def with_block(x):
            with objmode(y="int64"):
                y = lib.f(x)
            return y

        barrier = threading.Barrier(8)
        def in_thread(number):
            barrier.wait()
            return lib.total(np.full(4, float(number)))

        with ThreadPoolExecutor(8) as pool:
            threads = list(pool.map(in_thread, range(8)))
        objects = [from_object_mode(2), with_block(2)]
        child = "import pickle, sys; f = pickle.load(sys.stdin.buffer); print(f(2), f(2.5))"
        done = subprocess.run([sys.executable, "-c", child], input=pickle.dumps(lib.f), capture_output=True, check=True)
        report(threads=threads, objects=objects, child=done.stdout.decode(),
               jit=[name for name in compiled() if name in ("f", "total", "helper")],
               same=pickle.loads(pickle.dumps(lib.f)) is lib.f)
        """
    )
    assert found["threads"] == [12.0 * number for number in range(8)]
    assert found["objects"] == [14.0, 7]
    assert found["child"] == "7 8.5\n"
    assert found["jit"] == []
    assert found["same"]


def test_a_forked_child_is_served_as_well(run: Run, image: Path) -> None:
    found = run(
        """
        aotnb.load(IMAGE)
        import lib
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, json.dumps([lib.f(2), compiled(), served()]).encode())
            os._exit(0)
        os.wait()
        child = json.loads(os.read(read, 1000))
        report(child=child, here=lib.f(2), jit=compiled())
        """
    )
    assert found == {"child": [7, [], ["f"]], "here": 7, "jit": []}


INSIDE = """
aotnb.load(IMAGE)
import lib
answer = lib.f(2)
(cres,) = lib.f.overloads.values()
"""


def test_the_annotation_of_a_served_function_can_be_asked_for(run: Run, image: Path) -> None:
    found = run(
        INSIDE
        + """
((key, lines),) = lib.f.get_annotation_info().items()
report(key=key, lines=lines["python_lines"], name=lines["funcname"], jit=compiled())
"""
    )
    assert found["key"][1] == "(int64,) -> int64"
    assert found["key"][0].rpartition("/")[2] == "lib.py:12"
    assert [text for _, text in found["lines"]][:2] == ["@njit", "def f(x):"]
    assert (found["name"], found["jit"]) == ("f", [])


def test_the_native_address_of_a_served_function_can_be_called(run: Run, image: Path) -> None:
    """As tools do that hand the function to C, bypassing Python."""
    found = run(
        INSIDE
        + """
import ctypes
prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_void_p), ctypes.c_int64)
native = prototype(cres.library.get_pointer_to_function(cres.fndesc.llvm_func_name))
result, raised = ctypes.c_int64(), ctypes.c_void_p()
report(status=native(result, raised, 5), result=result.value, wrapper=cres.fndesc.llvm_cpython_wrapper_name,
       python=cres.library.get_pointer_to_function(cres.fndesc.llvm_cpython_wrapper_name) != 0, jit=compiled())
"""
    )
    wrapper = found.pop("wrapper")
    assert found == {"status": 0, "result": 16, "python": True, "jit": []}
    assert wrapper.startswith("lib.f(int64).wrapper.")


def test_the_ir_of_a_served_function_can_be_looked_at(run: Run, image: Path) -> None:
    found = run(
        INSIDE
        + """
ir = lib.f.inspect_llvm(lib.f.signatures[0])
cfg = lib.f.inspect_cfg(lib.f.signatures[0], show_wrapper="python")
report(defined=cres.fndesc.llvm_func_name in ir, names=[len(lib.f.inspect_llvm()), len(lib.f.inspect_asm())],
       native=len(cfg.dot) > 100, jit=compiled())
"""
    )
    assert found == {"defined": True, "names": [1, 1], "native": True, "jit": []}


def test_what_a_served_function_cannot_show_is_said_in_a_sentence(run: Run, image: Path) -> None:
    found = run(
        INSIDE
        + """
import contextlib, io
said = []
for ask in (lib.f.inspect_types, lib.f.parallel_diagnostics, lambda: lib.f.inspect_types(signature=lib.f.signatures[0])):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        ask()
    said.append(out.getvalue())
(metadata,) = lib.f.get_metadata().values()
report(said=said, metadata=sorted(metadata), signatures=[len(lib.f.signatures), len(lib.f.nopython_signatures)], jit=compiled())
"""
    )
    assert all(
        text.count("served from an aotnb image, which keeps neither Numba IR nor diagnostics") == 1 for text in found["said"]
    )
    assert found["metadata"] == ["parfor_diagnostics", "parfors", "pipeline_times"]
    assert (found["signatures"], found["jit"]) == ([1, 1], [])


# ---- one function must not cost the others --------------------------------------------------------------------------

ODD = """
from numba import njit

@njit
def add(items):
    total = 0
    for item in items:
        total += item
    return total

@njit
def iterator(n):
    return add(iter(range(n)))

@njit
def string(i):
    return "see @SELF.f0"[i]

@njit
def literal_list():
    return add([1, 2])
"""


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        pytest.param("odd.iterator(4)", 6),
        pytest.param("odd.string(1)", "e"),
        ("odd.literal_list()", 3),
    ],
)
def test_a_function_that_cannot_be_saved_is_left_out_and_the_others_are_saved(
    run: Run, tmp_path: Path, call: str, answer: Any
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    calls = f"import lib, odd\nanswers = [lib.text('a'), {call}]\n"
    first = run("aotnb.activate()\n" + calls + "aotnb.save(IMAGE)\nreport(answers=answers)\n")
    again = run("aotnb.load(IMAGE)\n" + calls + "report(answers=answers, served=served())\n")
    assert first["answers"] == again["answers"] == ["<a>", answer]
    assert "text" in again["served"]


# ---- outcomes other than code ---------------------------------------------------------------------------------------

LITERAL = """
from numba import literally, njit

@njit
def power(x, n):
    return x ** literally(n)

@njit
def tagged(x, tag):
    if literally(tag) == "double":
        return x * 2
    return x
"""


def test_asking_for_literals_is_served_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "literal.py").write_text(LITERAL)
    calls = """
import literal
answers = [literal.power(2.0, 3), literal.power(2.0, 2), literal.tagged(4, 'double'), literal.tagged(4, 'x')]
"""
    first = run(
        "aotnb.activate()\n"
        + calls
        + "saved = aotnb.save(IMAGE)\nreport(answers=answers, dropped=[d.detail for d in saved.dropped])\n"
    )
    again = run(
        "aotnb.load(IMAGE)\n" + calls + "report(answers=answers, jit=compiled(), signatures=len(literal.power.signatures))\n"
    )
    assert first == {"answers": [8.0, 4.0, 8, 4], "dropped": []}
    assert again == {"answers": [8.0, 4.0, 8, 4], "jit": [], "signatures": 2}


# ---- Numba's own cache ----------------------------------------------------------------------------------------------

CACHED = "from numba import njit\n\n@njit(cache=True)\ndef h(x):\n    return x + 1\n"


def cache_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder / "cache")) for path in (folder / "cache").rglob("*") if path.is_file())


def test_the_disk_cache_is_neither_read_nor_written_while_active(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cached.py").write_text(CACHED)
    env = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    calls = "import cached\nanswer = cached.h(1)\nhits = sum(cached.h.stats.cache_hits.values())\n"
    made = run("aotnb.activate()\n" + calls + "aotnb.save(IMAGE)\nreport(answer=answer, hits=hits, jit=compiled())\n", **env)
    assert made == {"answer": 2, "hits": 0, "jit": ["h"]}
    assert cache_files(tmp_path) == []
    assert run(calls + "report(hits=hits)\n", **env) == {"hits": 0}  # plain Numba writes it
    assert cache_files(tmp_path) != []
    unread = run("aotnb.activate()\n" + calls + "report(hits=hits, jit=compiled())\n", **env)
    assert unread == {"hits": 0, "jit": ["h"]}
    before = {path: (tmp_path / "cache" / path).read_bytes() for path in cache_files(tmp_path)}
    loaded = run("aotnb.load(IMAGE)\n" + calls + "report(hits=hits, jit=compiled(), served=served())\n", **env)
    assert loaded == {"hits": 0, "jit": [], "served": ["h"]}
    assert {path: (tmp_path / "cache" / path).read_bytes() for path in cache_files(tmp_path)} == before
    assert run(calls + "report(hits=hits)\n", **env) == {"hits": 1}


def test_closures_that_numba_makes_for_itself_are_served(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sorting.py").write_text(
        "import numpy as np\nfrom numba import njit\n@njit\ndef order(a):\n    return np.argsort(a, kind='mergesort')"
    )
    use = "import numpy as np, sorting; answer = sorting.order(np.array([3.0, 1.0, 2.0])).tolist()"
    run(f"aotnb.activate()\n{use}\naotnb.save(IMAGE)\nreport()")
    again = run(f"aotnb.load(IMAGE)\n{use}\nreport(answer=answer, jit=compiled(), served=served())")
    assert again == {"answer": [1, 2, 0], "jit": [], "served": ["order"]}


def test_the_environment_is_heard_where_aotnb_itself_imports_numba_first(run: Run, image: Path) -> None:
    # as %load_ext aotnb does; the lines of the .pth come first, as in a process of an environment with aotnb
    script = """
    from aotnb import autostart
    autostart.start_from_environment()
    aotnb.activate()
    from use import use
    report(answers=len(use()), images=len(aotnb.status().images), jit=compiled())
    """
    assert run(script, AOTNB_IMAGE=str(image)) == {"answers": 6, "images": 1, "jit": []}
    script = script.replace("aotnb.activate()", "from aotnb import save")
    assert run(script, AOTNB_IMAGE=str(image)) == {"answers": 6, "images": 1, "jit": []}


TWO_CLOSURES = """
import numpy as np
from numba import njit

class Boom(Exception):
    pass

def make(a):
    @njit
    def pick(i):
        if i < 0:
            raise Boom("negative")
        return a[i]
    return pick

first, second = np.arange(200_000.0), np.arange(200_000.0) * 10  # so big that their addresses are compiled
"""


def test_closures_over_two_big_arrays_have_their_code_in_two_places(run: Run, tmp_path: Path) -> None:
    (tmp_path / "closures.py").write_text(TWO_CLOSURES)
    use = "import closures as c; f, g = c.make(c.first), c.make(c.second); answers = [f(3), g(3), f(4), g(4)]"
    run(f"aotnb.activate()\n{use}\naotnb.save(IMAGE)\nreport(answers=answers)")
    again = run(f"aotnb.load(IMAGE)\n{use}\nreport(answers=answers, served=served(), compiled=compiled())")
    assert again["answers"] == [3.0, 30.0, 4.0, 40.0]
    assert again["served"] == ["make.<locals>.pick"] * 2
    assert again["compiled"] == []


CALLER_OF_BOTH = """
from numba import njit
import closures as c
f, g = c.make(c.first), c.make({other})

@njit
def both(i):
    return f(i) + 1000 * g(i)
"""


def test_a_function_that_calls_closures_over_two_arrays(run: Run, tmp_path: Path) -> None:
    (tmp_path / "closures.py").write_text(TWO_CLOSURES)
    (tmp_path / "caller.py").write_text(CALLER_OF_BOTH.format(other="c.second"))
    run("aotnb.activate()\nimport caller\ncaller.both(3)\naotnb.save(IMAGE)\nreport()")
    again = run("aotnb.load(IMAGE)\nimport caller\nreport(answer=caller.both(3), served=served(), compiled=compiled())")
    assert again == {"answer": 30003.0, "served": ["both"], "compiled": []}
    assert run("aotnb.load(IMAGE)\nimport caller\nreport(answer=caller.both(3))", AOTNB_VERIFY="1") == {"answer": 30003.0}


def test_code_traced_with_one_array_does_not_stand_for_two(run: Run, tmp_path: Path) -> None:
    (tmp_path / "closures.py").write_text(TWO_CLOSURES)
    (tmp_path / "caller.py").write_text(CALLER_OF_BOTH.format(other="c.first"))
    run("aotnb.activate()\nimport caller\ncaller.both(3)\naotnb.save(IMAGE)\nreport()")
    (tmp_path / "caller.py").write_text(CALLER_OF_BOTH.format(other="c.second"))
    again = run("aotnb.load(IMAGE)\nimport caller\nreport(answer=caller.both(3), misses=[m.detail for m in aotnb.misses()])")
    assert again["answer"] == 30003.0
    assert again["misses"] == [refusal("shared_code", function="make.<locals>.pick")]


def test_new_code_calls_closures_in_two_places_and_is_saved(run: Run, tmp_path: Path) -> None:
    (tmp_path / "closures.py").write_text(TWO_CLOSURES)
    (tmp_path / "caller.py").write_text(CALLER_OF_BOTH.format(other="c.second"))
    run("aotnb.activate()\nimport closures as c\nc.make(c.first)(3)\naotnb.save(IMAGE)\nreport()")
    tell = "report(answers=answers, served=served(), compiled=compiled())"
    use = "import caller\nanswers = [caller.f(3), caller.g(3), caller.both(3), caller.both(4)]"
    new = run(f"aotnb.load(IMAGE)\n{use}\naotnb.save(IMAGE, append=True)\n{tell}")
    assert new == {"answers": [3.0, 30.0, 30003.0, 40004.0], "served": ["make.<locals>.pick"] * 2, "compiled": ["both"]}
    later = run(f"aotnb.load(IMAGE)\n{use}\nreport(answers=answers)")
    assert later["answers"] == new["answers"]


def test_new_code_calls_closures_over_two_arrays_in_two_images(run: Run, tmp_path: Path) -> None:
    (tmp_path / "closures.py").write_text(TWO_CLOSURES)
    (tmp_path / "caller.py").write_text("from numba import njit\n@njit\ndef both(f, g, i):\n    return f(i) + 1000 * g(i)\n")
    one = "aotnb.activate()\nimport closures as c\nc.make(c.first)(3)\n"
    run(f"{one}aotnb.save('one.aot')\nreport()")
    run(f"{one}from numba import njit\nnjit(lambda x: x + 1)(1)\naotnb.save('two.aot')\nreport()")
    use = "import closures as c, caller\naotnb.load('one.aot')\nf = c.make(c.first)\nanswers = [f(3)]\n"
    use += "aotnb.load('two.aot')\ng = c.make(c.second)\nanswers += [g(3), caller.both(f, g, 3)]\n"
    new = run(f"{use}report(answers=answers, served=served())")
    assert new == {"answers": [3.0, 30.0, 30003.0], "served": ["make.<locals>.pick"] * 2}


def test_an_exception_class_made_anew_is_the_one_that_is_raised(run: Run, tmp_path: Path) -> None:
    (tmp_path / "closures.py").write_text(TWO_CLOSURES)
    run("aotnb.activate()\nimport closures as c\nc.make(c.first)(1)\naotnb.save(IMAGE)\nreport()")
    script = """
    aotnb.load(IMAGE)
    import importlib
    import closures
    caught = []
    for attempt in range(2):
        try:
            closures.make(closures.first)(-1)
        except closures.Boom as error:
            caught.append(str(error))
        importlib.reload(closures)
    report(caught=caught, served=served())
    """
    assert run(script) == {"caught": ["negative", "negative"], "served": ["make.<locals>.pick"] * 2}


def test_cache_true_does_no_harm_where_numba_has_no_place_for_its_cache(run: Run) -> None:
    script = """
    aotnb.activate()
    from numba import njit
    space = {"njit": njit}
    exec("@njit(cache=True)\\ndef f(x):\\n    return x + 1", space)
    report(answer=space["f"](1))
    """
    assert run(script) == {"answer": 2}


def test_after_deactivation_the_disk_cache_is_used_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cached.py").write_text(CACHED)
    run("aotnb.activate()\naotnb.deactivate()\nimport cached\ncached.h(1)\nreport()\n", NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert cache_files(tmp_path) != []


# ---- files ----------------------------------------------------------------------------------------------------------


def test_the_old_image_survives_a_save_that_fails(run: Run, image: Path, tmp_path: Path) -> None:
    before = image.read_bytes()
    found = run(
        """
        import resource, signal
        aotnb.activate()
        from use import use
        use()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        errors = []
        for link in ("in-process",):
            try:
                aotnb.save(IMAGE, link=link)
            except aotnb.errors.BuildError as error:
                errors.append(str(error))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        report(errors=errors)
        """
    )
    assert "cannot write image.aot" in found["errors"][0]
    assert image.read_bytes() == before
    assert [name for name in os.listdir(tmp_path) if name.startswith(".image")] == []


def test_another_users_image_is_refused_before_it_is_mapped(run: Run, image: Path, tmp_path: Path, plain: list[Any]) -> None:
    found = run(
        """
        try:
            aotnb.load(IMAGE)
        except aotnb.errors.ImageRejected as error:
            reason = error.reason
        mapped = "aotnb-" in open("/proc/self/maps").read()
        from use import use
        report(reason=reason, mapped=mapped, answers=use(), images=len(aotnb.status().images))
        """,
        AOTNB_HOME=str(tmp_path / "another"),
    )
    assert found == {"reason": "untrusted", "mapped": False, "answers": plain, "images": 0}


APPEND = """
aotnb.activate()
from use import use
use()
stages = []
try:
    aotnb.save(IMAGE, append=True, progress=lambda stage, done, total: stages.append(stage))
except aotnb.errors.ImageRejected as error:
    report(reason=error.reason, sentence=str(error), stages=stages)
"""


def test_another_users_image_is_not_added_to(run: Run, image: Path, tmp_path: Path) -> None:
    before = image.read_bytes()
    found = run(APPEND, AOTNB_HOME=str(tmp_path / "another"))
    assert (found["reason"], found["stages"]) == ("untrusted", [])
    assert "was not made by this user" in found["sentence"]
    assert image.read_bytes() == before


def test_the_image_of_another_numba_is_not_added_to(run: Run, image: Path) -> None:
    # signed with the key of this user, as an image is that was made before an upgrade
    run(
        """
        from pathlib import Path
        from aotnb.image.format import PARTS, ImageFile, dump_json, publish
        from aotnb.image.trust import user_key
        file = ImageFile(Path(IMAGE))
        index = json.loads(bytes(file.part("index")))
        index["process"]["numba"] = "0.1.0"
        parts = {name: bytes(file.part(name)) for name in PARTS}
        publish(Path(IMAGE), parts | {"index": dump_json(index)}, user_key())
        report()
        """
    )
    before = image.read_bytes()
    found = run(APPEND)
    assert (found["reason"], found["stages"]) == ("version_changed", [])
    assert "was made for numba 0.1.0" in found["sentence"]
    assert image.read_bytes() == before


def test_a_key_that_cannot_be_made_is_said_before_anything_is_compiled(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = run(
        """
        aotnb.activate()
        from use import use
        use()
        stages = []
        try:
            aotnb.save(IMAGE, progress=lambda stage, done, total: stages.append(stage))
        except aotnb.errors.AotError as error:
            report(sentence=str(error), stages=stages, written=os.path.exists(IMAGE))
        """,
        AOTNB_HOME=str(tmp_path / "file"),
    )
    assert "set AOTNB_HOME to a folder that can be written to" in found.pop("sentence")
    assert found == {"stages": [], "written": False}


# ---- a read that the recorder misses --------------------------------------------------------------------------------


def test_a_lost_read_is_reported_at_save_and_found_by_the_oracle(run: Run) -> None:
    saved = """
from use import use
use()
report(unexplained=[[u.function, u.name] for u in aotnb.save(IMAGE).unexplained])
"""
    assert run("aotnb.activate()\n" + saved) == {"unexplained": []}
    lose = """
from aotnb.tracing.recorder import Recorder
aotnb.activate()
keep = Recorder._read
def lose(self, frame, kind, name, *rest):
    if name != "K":
        keep(self, frame, kind, name, *rest)
Recorder._read = lose
"""
    assert run(lose + saved)["unexplained"] == [["helper", "K"], ["helper", "K"]]  # for int64 and for float64
    stale = """
aotnb.load(IMAGE)
import lib
lib.K = 5
try:
    report(answer=lib.f(2))
except aotnb.errors.VerifyMismatch as error:
    report(difference=str(error))
"""
    assert run(stale) == {"answer": 7}  # wrong, as it must be without the edge
    assert "an edge is missing" in run(stale, AOTNB_VERIFY="1")["difference"]


UNTYPED = """
import numba
from numba import errors, njit

@njit
def inner(x):
    return x.nothing  # quoted by the message

@njit
def f(x):
    return inner(x) * 2

def told(call):
    try:
        return call()
    except errors.TypingError as error:
        return str(error)
"""
ASK_UNTYPED = """
import untyped
told = untyped.told(lambda: untyped.f(1)).replace(hex(id(untyped.inner.py_func)), "0x")
report(told=told, compiled=compiled(), served=served())
"""


def test_a_call_without_a_typing_is_an_outcome_with_its_message(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "untyped.py"
    source.write_text(UNTYPED)
    recorded = run(f"aotnb.activate()\n{ASK_UNTYPED}\naotnb.save(IMAGE)")
    assert "Unknown attribute 'nothing' of type int64" in recorded["told"]
    again = run(f"aotnb.load(IMAGE)\n{ASK_UNTYPED}")
    assert again == {"told": recorded["told"], "compiled": [], "served": ["f"]}
    source.write_text("# what is above moves the lines\n\n" + UNTYPED)
    plain = run(f"aotnb.activate()\n{ASK_UNTYPED}")
    moved = run(f"aotnb.load(IMAGE)\n{ASK_UNTYPED}")
    assert moved == {"told": plain["told"], "compiled": [], "served": ["f"]}
    assert moved["told"] != recorded["told"]


def test_a_message_that_quotes_other_source_is_not_repeated(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "untyped.py"
    source.write_text(UNTYPED)
    run(f"aotnb.activate()\n{ASK_UNTYPED}\naotnb.save(IMAGE)")
    source.write_text(UNTYPED.replace("quoted by", "that stands in"))
    again = run(f"aotnb.load(IMAGE)\n{ASK_UNTYPED}")
    assert "that stands in the message" in again["told"]
    assert again["served"] == []
    source.write_text(UNTYPED.replace("x.nothing", "x.real"))
    mended = run("aotnb.load(IMAGE)\nimport untyped\nreport(answer=untyped.told(lambda: untyped.f(1)), served=served())")
    assert mended == {"answer": 2, "served": []}


NAMING = """
import numpy as np
from numba import errors, njit, types
from numba.extending import intrinsic, overload, overload_method

def make():
    def key(x):
        pass
    return key

key, other = make(), make()

@overload(key)
def of_key(x):
    return None

@overload(other)
def of_other(x):

    raise errors.NumbaValueError("not for me")

@overload_method(types.UnicodeType, "shout")
def of_shout(self):
    pass

@intrinsic
def picky(context, x):
    raise errors.NumbaValueError("never")

@njit("int64(int64)")
def fixed(x):
    return x

@njit
def no_match(x):
    return key(x)

@njit
def specific(x):
    return other(x)

@njit
def method(x):
    return "abc".shout()

@njit
def by_intrinsic(x):
    return picky(x)

@njit
def by_frozen(x):
    return fixed("abc")

@njit
def by_numpy(x):
    return np.angle(None)

CASES = [no_match, specific, method, by_intrinsic, by_frozen, by_numpy]

def told(f):
    try:
        f(1)
    except errors.TypingError as error:
        return str(error)
"""
ASK_NAMING = """
import naming
asked = [naming.told(f) for f in naming.CASES]
found = dict(compiled=compiled(), served=served())
"""
# what Numba itself says of the same live objects
AFRESH = """
aotnb.deactivate()
for f in naming.CASES:
    f._compiler._failed_cache.clear()
report(asked=asked, fresh=[naming.told(f) for f in naming.CASES], **found)
"""


def test_a_message_names_the_live_objects_of_the_process(run: Run, tmp_path: Path) -> None:
    cases = ["no_match", "specific", "method", "by_intrinsic", "by_frozen", "by_numpy"]
    source = tmp_path / "naming.py"
    source.write_text(NAMING)
    assert run(f"aotnb.activate()\n{ASK_NAMING}\nreport(dropped=len(aotnb.save(IMAGE).dropped))") == {"dropped": 0}
    moved = "# what is above moves the lines\n\n" + NAMING
    for text in (NAMING, moved):
        source.write_text(text)
        again = run(f"aotnb.load(IMAGE)\n{ASK_NAMING}{AFRESH}")
        assert again["asked"] == again["fresh"]
        assert all("0x" in message for message, case in zip(again["asked"], cases, strict=True) if case != "by_intrinsic")
        assert again["served"] == ["fixed", *cases]
        assert again["compiled"] == []
    # the line that raises moves within a function of equal content
    source.write_text(NAMING.replace("def of_other(x):\n\n", "def of_other(x):\n"))
    edited = run(f"aotnb.load(IMAGE)\n{ASK_NAMING}{AFRESH}")
    # Numba indents a message by how often the function was tried
    asked, fresh = ([line.strip() for line in "\n".join(edited[way]).splitlines()] for way in ("asked", "fresh"))
    assert asked == fresh
    assert edited["served"] == ["fixed", *(case for case in cases if case != "specific")]


PARALLEL_UFUNCS = """
import numpy as np
from numba import guvectorize, vectorize
from numba.np.ufunc import parallel

built = []
build = parallel.build_gufunc_kernel
parallel.build_gufunc_kernel = lambda *args: built.append(args[3]) or build(*args)

@vectorize(["f8(f8, f8)"], target="parallel")
def scaled(a, b):
    return a * b + 1

@guvectorize(["(f8[:], f8[:])", "(f4[:], f4[:])"], "(n)->(n)", target="parallel")
def doubled(a, result):
    for i in range(a.shape[0]):
        result[i] = a[i] * 2

answers = [scaled(np.arange(4.0), 2.0).tolist(), doubled(np.ones((3, 2))).sum(), float(doubled(np.ones(3, np.float32)).sum())]
"""


def test_loops_that_threads_run_are_in_the_image(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ufuncs.py").write_text(PARALLEL_UFUNCS)
    tell = "import ufuncs\nreport(answers=ufuncs.answers, built=len(ufuncs.built), jit=compiled())"
    first = run(f"aotnb.activate()\nimport ufuncs\naotnb.save(IMAGE)\n{tell}")
    assert first["built"] == 3
    assert run(f"aotnb.load(IMAGE)\n{tell}") == {"answers": first["answers"], "built": 0, "jit": []}
