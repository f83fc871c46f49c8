"""Edits that change nothing that Numba read: the image must go on serving, and nothing may be compiled."""

from __future__ import annotations

from harness import Batch, Runs, Scenario, check_answers, check_reasons, several, swap, touch

PLAIN = """
    K = 1
    @njit
    def g(x):
        return x + K
    @njit
    def f(x):
        return g(x)
    print(f(10))
"""

LINES = """
import traceback
@njit
def g(x):
    if x < 0:
        raise ValueError("negative")
    return x
@njit
def f(x):
    if x > 9:
        raise KeyError("large")
    return g(x)
def where(x):
    try:
        f(x)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[1:]
        print(type(error).__name__, error.args, [(frame.name, frame.lineno) for frame in frames])
f(1)
where(10)
where(-1)
"""


def kept(name: str, main: str, edit, changes: bool | None = False, **rest: object) -> Scenario:
    return Scenario(name, main=main, edit=edit, changes=changes, **{"hit": ["f"]} | rest)  # type: ignore[arg-type]


KEPT = [
    Scenario(
        "callee_that_python_calls_as_well",  # and only after its caller: the code of the caller must not depend on that
        main="""
            @njit
            def g(x):
                return x + 1
            @njit
            def f(x):
                return g(x) * 2
            print(f(1), g(1))
        """,
        edit=swap("print(f", "# a comment\nprint(f"),
        hit=("f", "g"),
        changes=False,
    ),
    kept("no_edit_at_all", PLAIN, lambda folder: None),
    kept("touched", PLAIN, touch()),
    kept("comment", PLAIN, swap("return g(x)", "return g(x)  # a comment")),
    kept("blank_lines", PLAIN, swap("@njit\ndef f", "\n\n\n@njit\ndef f")),
    kept("spaces", PLAIN, swap("x + K", "x  +  K")),
    kept("parentheses", PLAIN, swap("return g(x)", "return (g(x))")),
    kept("annotation", PLAIN, swap("def f(x):", "def f(x: int) -> int:")),
    kept("unused_import", PLAIN, swap("K = 1", "import json\nK = 1")),
    kept("unused_global", PLAIN, swap("K = 1", "K, L = 1, 2")),
    kept("order_of_definitions", PLAIN, swap("K = 1\n", "@njit\ndef other(x):\n    return x\nK = 1\n")),
    kept(
        "other_function",
        PLAIN + "    @njit\n    def other(x):\n        return x + 1\n    print(other(1))\n",
        swap("x + 1", "x + 2"),
        changes=True,
        hit=["f"],
        miss={"other": "method_changed"},
    ),
    kept("value_by_another_expression", PLAIN, swap("K = 1", "K = 3 - 2")),
    kept("module_by_another_name_of_the_import", PLAIN, swap("import numpy as np", "import numpy as np, numpy")),
    kept("decorator_spelled_differently", PLAIN, swap("@njit\ndef f", "import numba\n@numba.njit()\ndef f")),
    kept("option_at_its_default", PLAIN, swap("@njit\ndef f", "@njit(fastmath=False)\ndef f"), hit=[]),
    kept("moved_in_the_file", LINES, swap("import traceback\n", "import traceback\n\n\n# moved\n\n"), changes=True),
    kept("moved_callee_only", LINES, swap("@njit\ndef g", "\n\n\n@njit\ndef g"), changes=True),
    kept("moved_caller_only", LINES, swap("@njit\ndef f", "\n\n\n@njit\ndef f"), changes=True),
    kept(
        "line_inside_moved",
        LINES,
        swap('        raise KeyError("large")', '\n\n        raise KeyError("large")'),
        changes=True,
        hit=[],
    ),
    kept(
        "other_file_of_the_module",
        """
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        swap("UNUSED = 1", "UNUSED = 2", "helper.py"),
        files={"helper.py": "UNUSED = 1\n@njit\ndef g(x):\n    return x + 1\n"},
    ),
    kept(
        "function_moved_to_another_line_of_another_file",
        """
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        swap("@njit", "\n\n# moved\n@njit", "helper.py"),
        files={"helper.py": "@njit\ndef g(x):\n    return x + 1\n"},
    ),
    kept(
        "name_in_a_pruned_branch",
        """
            FLAG = False
            X = 1
            @njit
            def f(x):
                if FLAG:
                    return x + X
                return x
            print(f(10))
        """,
        swap("X = 1", "X = 2"),
    ),
    kept(
        "name_in_a_branch_pruned_by_an_argument",
        """
            X = 1
            @njit
            def f(x, y=None):
                if y is not None:
                    return x + X
                return x
            print(f(10))
        """,
        swap("X = 1", "X = 'text'"),
    ),
    kept(
        "missing_name_in_a_pruned_branch",
        """
            FLAG = False
            @njit
            def f(x):
                if FLAG:
                    return absent(x)
                return x
            print(f(10))
        """,
        swap("FLAG = False", "FLAG = False\nabsent = 1"),
    ),
    kept(
        "other_field_of_a_module",
        """
            from . import cfg
            @njit
            def f(x):
                return x + cfg.K
            print(f(10))
        """,
        swap("L = 1", "L = 2", "cfg.py"),
        files={"cfg.py": "K = 1\nL = 1\n"},
    ),
    kept(
        "other_function_of_an_overload_file",
        """
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        swap("x + 7", "x + 8", "ext.py"),
        files={
            "ext.py": """
                from numba.extending import overload
                def target(x):
                    raise NotImplementedError
                @overload(target)
                def ol_target(x):
                    return lambda x: x + 1
                def other(x):
                    raise NotImplementedError
                @overload(other)
                def ol_other(x):
                    return lambda x: x + 7
            """
        },
    ),
    kept(
        "overload_file_moved_lines",
        """
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        swap("def target", "\n\n# moved\ndef target", "ext.py"),
        files={
            "ext.py": """
                from numba.extending import overload
                def target(x):
                    raise NotImplementedError
                @overload(target)
                def ol_target(x):
                    return lambda x: x + 1
            """
        },
    ),
    kept(
        "not_a_number",  # nan != nan, yet it is the same
        """
            K = np.nan
            T = (np.nan, 1)
            A = np.array([np.nan])
            @njit
            def f(x):
                return x + K + T[0] + A[0]
            print(f(10))
        """,
        swap("import numpy as np", "import numpy as np  # a comment"),
    ),
    kept(
        "other_values_of_the_arguments",
        """
            @njit
            def f(x, y=2, *rest):
                return x - y + len(rest)
            print(f(1, 2, 3, 4))
        """,
        swap("f(1, 2, 3, 4)", "f(5, 6, 7, 9)"),
        changes=False,
    ),
    kept(
        "keywords_in_another_order",
        """
            @njit
            def f(x, y):
                return x - y
            print(f(x=1, y=2))
        """,
        swap("f(x=1, y=2)", "f(y=2, x=1)"),
    ),
    kept(
        "signatures_in_another_order",
        """
            @njit
            def f(x):
                return x * 2
            print(sorted([f(1), f(2.5)]), len(f.signatures), len(f.nopython_signatures))
        """,
        swap("[f(1), f(2.5)]", "[f(2.5), f(1)]"),
    ),
    kept(
        "exported_through_another_module",
        """
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        several(swap(".helper", ".front"), lambda folder: (folder / "front.py").write_text("from .helper import g\n") and None),
        files={"helper.py": "@njit\ndef g(x):\n    return x + 1\n"},
    ),
    kept(
        "dispatcher_argument",
        """
            @njit
            def g(x):
                return x + 1
            @njit
            def f(fn, x):
                return fn(x)
            print(f(g, 10))
        """,
        swap("@njit\ndef g", "\n@njit\ndef g"),
    ),
    kept(
        "closure_of_another_call",
        """
            def make(k):
                @njit
                def f(x):
                    return x + k
                return f
            print(make(1)(10))
        """,
        swap("print(make(1)", "make(3)\nprint(make(1)"),
    ),
    kept(
        "array_by_another_way",
        """
            K = np.array([0, 1, 2])
            @njit
            def f(x):
                return x + K[1]
            print(f(10))
        """,
        swap("np.array([0, 1, 2])", "np.arange(3)"),
    ),
    kept(
        "parallel",
        """
            from numba import prange
            @njit(parallel=True)
            def f(a):
                s = 0.0
                for i in prange(a.size):
                    s += a[i] * 2
                return s
            print(f(np.ones(10)))
        """,
        swap("print", "\nprint"),
    ),
    kept(
        "generator",
        """
            @njit
            def f(n):
                for i in range(n):
                    yield i * i
            print(list(f(4)))
        """,
        swap("print", "\nprint"),
    ),
    kept(
        "try_and_except",
        """
            @njit
            def f(x):
                try:
                    if x < 0:
                        raise ValueError
                    return x
                except Exception:
                    return 1
            print(f(-5), f(5))
        """,
        swap("print", "\nprint"),
    ),
    kept(
        "recursion",
        """
            @njit
            def f(n):
                if n < 2:
                    return n
                return f(n - 1) + f(n - 2)
            print(f(10))
        """,
        swap("print", "\nprint"),
    ),
    kept(
        "vectorize",
        """
            from numba import vectorize
            @vectorize
            def f(x):
                return x + 1
            print(f(np.arange(3)))
        """,
        swap("print", "\nprint"),
    ),
    kept(
        "random_numbers",  # the generator's state lives in the process
        """
            @njit
            def f(n):
                np.random.seed(7)
                return [np.random.random() for _ in range(n)]
            print(f(3))
        """,
        swap("print", "\nprint"),
    ),
    kept(
        "strings_lists_sets_and_dicts",
        """
            @njit
            def f(words):
                counts = {words[0]: 0}
                for word in words:
                    counts[word] = counts.get(word, 0) + 1
                seen = set([len(word) for word in words])
                return sorted([(k, v) for k, v in counts.items()]), len(seen)
            print(f(("a", "bb", "a")))
        """,
        swap("print", "\nprint"),
    ),
]


BATCHES = [Batch("kept", KEPT)]


def test_answers(scenario: Scenario, runs: Runs) -> None:
    check_answers(scenario, runs)


def test_hits(scenario: Scenario, runs: Runs) -> None:
    check_reasons(scenario, runs)
