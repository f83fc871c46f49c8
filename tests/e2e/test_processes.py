"""What is not in the sources of a module: switches of the process, installed versions, scripts, cells of a notebook."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from harness import (
    CELLS,
    LIMIT,
    Batch,
    Process,
    Runs,
    Scenario,
    check_answers,
    check_reasons,
    check_restored,
    clean_environment,
    make_file,
    several,
    swap,
    tail,
)

# ---- switches -------------------------------------------------------------------------------------------------------

READ = """
@njit
def f(a):
    return a[5]
try:
    print(f(np.arange(10)[:3]))
except IndexError:
    print("out of bounds")
"""


def under(name: str, switch: str, value: str, main: str, **rest: object) -> Batch:
    """The same sources, where only the second process has NUMBA_<switch> = *value*."""
    rest = {"miss": {"f": "config_changed"}, "changes": None} | rest
    return Batch(name, [Scenario(name, main=main, **rest)], after=Process(env={f"NUMBA_{switch}": value}))  # type: ignore[arg-type]


SWITCHES = [
    under("switch_boundscheck", "BOUNDSCHECK", "1", READ, changes=True),
    under("switch_optimisation", "OPT", "0", READ),
]

# ---- versions -------------------------------------------------------------------------------------------------------

METADATA = "Metadata-Version: 2.1\nName: fakelib-{0}\nVersion: 1.0\n"
RECORD = "fakelib_{0}/__init__.py,,\nfakelib_{0}-1.0.dist-info/METADATA,,\nfakelib_{0}-1.0.dist-info/RECORD,,\n"


def distribution(name: str, source: str) -> dict[str, str]:
    """Return the files of an installed distribution fakelib-<name> with one module."""
    info = f"/fakelib_{name}-1.0.dist-info"
    return {
        f"/fakelib_{name}/__init__.py": source,
        f"{info}/METADATA": METADATA.format(name),
        f"{info}/RECORD": RECORD.format(name),
        f"{info}/top_level.txt": f"fakelib_{name}\n",
    }


def upgrade(name: str):
    """Install version 2.0 of fakelib-<name>, whose sources are the same."""

    def edit(folder: Path) -> None:
        old = folder.parent / f"fakelib_{name}-1.0.dist-info"
        new = folder.parent / f"fakelib_{name}-2.0.dist-info"
        new.mkdir()
        for file in old.iterdir():
            (new / file.name).write_text(file.read_text().replace("1.0", "2.0"))
        shutil.rmtree(old)

    return edit


VERSIONS = [
    Scenario(
        "version_of_a_library_with_overloads",
        files=distribution(
            "over",
            """
            from numba.extending import overload
            def target(x):
                raise NotImplementedError
            @overload(target)
            def ol_target(x):
                return lambda x: x + 1
            """,
        ),
        main="""
            from fakelib_over import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=upgrade("over"),
        miss={"f": "version_changed"},
        changes=False,
    ),
    Scenario(
        "version_of_a_library_with_a_callee",
        files=distribution("call", "@njit\ndef g(x):\n    return x + 1\n"),
        main="""
            from fakelib_call import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=several(upgrade("call"), swap("x + 1", "x + 2", "../fakelib_call/__init__.py")),
        miss={"f": "version_changed|callee_changed"},
    ),
    Scenario(
        "version_of_a_library_that_is_not_used",
        files=distribution("idle", "K = 1\n"),
        main="""
            import fakelib_idle
            @njit
            def f(x):
                return x + 1
            print(f(10))
        """,
        edit=upgrade("idle"),
        hit=["f"],
        changes=False,
    ),
]

# ---- scripts --------------------------------------------------------------------------------------------------------

SCRIPT = """
class Boom(Exception):
    pass
@njit
def g(x):
    return x + 1
@njit
def f(x):
    if x < 0:
        raise Boom("negative")
    return g(x)
print(f(10))
try:
    f(-1)
except Boom as error:
    print("caught", error, type(error).__module__)
"""


def script(name: str, main: str, after: Process | None = None, **rest: object) -> Batch:
    """A scenario whose main file is the script itself."""
    before = Process(f"{name}/main.py")
    return Batch(name, [Scenario(name, main=main, **rest)], before=before, after=after or before)  # type: ignore[arg-type]


SCRIPTS = [
    script("script_callee", SCRIPT, edit=swap("x + 1", "x + 2"), miss={"f": "callee_changed"}),
    script(
        "script_by_another_name",
        SCRIPT,
        after=Process("script_by_another_name/renamed.py"),
        edit=lambda folder: (folder / "main.py").rename(folder / "renamed.py") and None,
        hit=["f"],
        changes=False,
    ),
    script(
        "script_arguments",
        "import sys\nK = len(sys.argv)\n@njit\ndef f(x):\n    return x + K\nprint(f(10))\n",
        after=Process("script_arguments/main.py", args=["one"]),
        miss={"f": "global_changed"},
    ),
    script(  # one image, two scripts: the same text, another helper
        "script_of_the_same_text",
        "from one import g\n" + SCRIPT.replace("@njit\ndef g(x):\n    return x + 1\n", ""),
        files={"one.py": "@njit\ndef g(x):\n    return x + 1\n", "other/one.py": "@njit\ndef g(x):\n    return x + 2\n"},
        edit=lambda folder: shutil.copy(folder / "main.py", folder / "other") and None,
        after=Process("script_of_the_same_text/other/main.py"),
        miss={"f": "callee_changed"},
    ),
    script(
        "script_of_another_hash_seed",  # sets and dicts in another order
        """
            NAMES = {"alpha", "beta", "gamma"}
            @njit(fastmath={"nnan", "ninf", "contract", "arcp"})
            def f(x):
                return x + 1 if x in (1, 2, 3) else x
            print(f(10), sorted(NAMES))
        """,
        after=Process("script_of_another_hash_seed/main.py", env={"PYTHONHASHSEED": "77"}),
        hit=["f"],
        changes=False,
    ),
]

# ---- cells of a notebook --------------------------------------------------------------------------------------------

CELL_SCENARIOS = [
    Scenario(
        "cell_callee_in_the_same_cell",
        main="""
            @njit
            def a_helper(x):
                return x + 1
            @njit
            def a_main(x):
                return a_helper(x)
            # %%
            print(a_main(10))
        """,
        edit=swap("x + 1", "x + 2"),
        miss={"a_main": "callee_changed"},
    ),
    Scenario(
        "cell_callee_in_another_cell",
        main="""
            @njit
            def b_helper(x):
                return x + 1
            # %%
            @njit
            def b_main(x):
                return b_helper(x)
            print(b_main(10))
        """,
        edit=swap("x + 1", "x + 2"),
        miss={"b_main": "callee_changed"},
    ),
    Scenario(
        "cell_global_in_another_cell",
        main="""
            C_K = 1
            # %%
            @njit
            def c_main(x):
                return x + C_K
            print(c_main(10))
        """,
        edit=swap("C_K = 1", "C_K = 2"),
        miss={"c_main": "global_changed"},
    ),
    Scenario(
        "cell_inserted_before_and_another_edited",
        main="""
            @njit
            def d_main(x):
                return x + 1
            # %%
            print(d_main(10))
        """,
        edit=swap("# %%\n", "# %%\nprint('hello')\n# %%\n"),
        hit=["d_main"],
    ),
    Scenario(
        "cell_with_a_comment",
        main="""
            @njit
            def e_main(x):
                return x + 1
            print(e_main(10))
        """,
        edit=swap("@njit", "# a comment\n\n@njit"),
        hit=["e_main"],
        changes=False,
    ),
    Scenario(
        "cell_exception_class",
        main="""
            class GBoom(Exception):
                pass
            # %%
            @njit
            def g_main(x):
                if x < 0:
                    raise GBoom("negative")
                return x
            # %%
            try:
                g_main(-1)
            except GBoom as error:
                print("caught", error)
        """,
        edit=swap("    pass", "    def __str__(self):\n        return 'boom'"),
        hit=["g_main"],
    ),
    Scenario(
        "cell_namedtuple_class",
        main="""
            from collections import namedtuple
            HPoint = namedtuple("HPoint", "x y")
            # %%
            @njit
            def h_main(p):
                return HPoint(p.y, p.x)
            print(h_main(HPoint(1, 2)), type(h_main(HPoint(1, 2))) is HPoint)
        """,
        hit=["h_main"],
        changes=False,
    ),
    Scenario(
        "cell_run_twice",  # the second definition is another function of the same text
        main="""
            @njit
            def i_main(x):
                return x + 1
            print(i_main(10))
            # %%
            @njit
            def i_main(x):
                return x + 1
            print(i_main(10), i_main(1.5))
        """,
        hit=["i_main"],
        changes=False,
    ),
    Scenario(
        "cell_helper_redefined_before_the_call",
        main="""
            @njit
            def j_helper(x):
                return x + 1
            @njit
            def j_main(x):
                return j_helper(x)
            # %%
            @njit
            def j_helper(x):
                return x + 5
            # %%
            print(j_main(10))
        """,
        edit=swap("x + 5", "x + 6"),
        miss={"j_main": "callee_changed"},
    ),
    Scenario(
        "cell_global_rebound_between_nested_calls",
        main="""
            K_K = 1
            @njit
            def k_helper(x):
                return x + K_K
            @njit
            def k_main(x):
                return k_helper(x)
            print(k_helper(1))
            # %%
            K_K = 2
            # %%
            print(k_main(1))
        """,
        dropped={"k_main": "incoherent"},
        changes=False,
        restored=False,
    ),
]

BATCHES = [
    *SWITCHES,
    Batch("versions", VERSIONS),
    *SCRIPTS,
    Batch("cells", CELL_SCENARIOS, runner=CELLS),
]


def test_answers(scenario: Scenario, runs: Runs) -> None:
    check_answers(scenario, runs)


def test_reasons(scenario: Scenario, runs: Runs) -> None:
    check_reasons(scenario, runs)


def test_restored(scenario: Scenario, runs: Runs) -> None:
    check_restored(scenario, runs)


# ---- images that grow -----------------------------------------------------------------------------------------------


def test_variants_live_side_by_side(tmp_path: Path) -> None:
    """Two variants recorded one after the other into one image: both are served, in any order."""

    def run(increment: int, *options: str) -> tuple[str, dict]:
        make_file(
            tmp_path / "main.py",
            f"@njit\ndef g(x):\n    return x + {increment}\n@njit\ndef f(x):\n    return g(x)\nprint(f(10))\n",
        )
        report = tmp_path / "report.json"
        command = [
            sys.executable,
            "-m",
            "aotnb",
            "run",
            "--image",
            str(tmp_path / "image.aot"),
            *options,
            "--report",
            str(report),
            "main.py",
        ]
        done = subprocess.run(
            command, cwd=tmp_path, env=clean_environment(tmp_path), capture_output=True, text=True, timeout=LIMIT
        )
        assert done.returncode == 0, tail(done.stderr)
        return done.stdout, json.loads(report.read_text())

    assert run(1, "--record")[0] == "11\n"
    assert run(2, "--record")[0] == "12\n"
    for increment in (1, 2, 1):
        said, report = run(increment)
        assert said == f"{increment + 10}\n"
        assert report["compilations"] == 0, report["misses"]


def test_rerecording_adds_nothing(tmp_path: Path) -> None:
    """A process that compiles nothing leaves the image as it is, byte for byte."""
    make_file(tmp_path / "main.py", "@njit\ndef f(x):\n    return x + 1\nprint(f(10))\n")
    image = tmp_path / "image.aot"
    command = [sys.executable, "-m", "aotnb", "run", "--image", str(image), "--record", "main.py"]
    contents = []
    for _ in range(2):
        subprocess.run(command, cwd=tmp_path, env=clean_environment(tmp_path), capture_output=True, timeout=LIMIT, check=True)
        contents.append(image.read_bytes())
    assert contents[0] == contents[1]
