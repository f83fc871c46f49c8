"""Functions edited in a kernel that goes on: the function itself, its options, what it calls, what Numba consulted."""

from __future__ import annotations

from editing import Edit, check, play
from shells import Nurseries

G = """
@njit
def g(x):
    return x + 1
"""
G2 = G.replace("+ 1", "+ 2")
F = """
@njit
def f(x):
    return g(x) * 3
"""
OTHER = """
@njit
def other(x):
    return x - 5
"""
BOTH = "say(f(10), other(10))"

# ---- the function itself --------------------------------------------------------------------------------------------


def own(name: str, old: str, new: str, cell: str, call: str = "say(f(10))", **rest: object) -> Edit:
    """A function *f*, edited by replacing *old* with *new* in its cell; another function must keep its code."""
    assert old in cell
    call = call.replace("say(", "say(other(10), ", 1)
    return Edit(
        name,
        cells=[cell, OTHER],
        edit=[cell.replace(old, new)],
        call=call,
        **{"compiled": ["f"], "cause": None} | rest,  # type: ignore[arg-type]
    )


OWN = [
    own("own_body", "x + 1", "x + 2", "@njit\ndef f(x):\n    return x + 1"),
    own("own_constant_of_equal_value", "x, 1", "x, True", "@njit\ndef f(x):\n    return x, 1"),
    own("own_constant_minus_zero", ", 0.0", ", -0.0", "@njit\ndef f(x):\n    return np.copysign(x, 0.0)", "say(f(1.5))"),
    own("own_inner_function", "y + 1", "y + 2", "@njit\ndef f(x):\n    def inner(y):\n        return y + 1\n    return inner(x)"),
    own("own_names_only", "np.floor", "np.ceil", "@njit\ndef f(x):\n    return np.floor(x)", "say(f(1.5))"),
    own("own_default", "k=1", "k=2", "@njit\ndef f(x, k=1):\n    return x + k"),
    own("own_default_of_equal_value", "k=1", "k=True", "@njit\ndef f(x, k=1):\n    return x, k"),
    own(
        "own_recursion",
        "return 1",
        "return 2",
        "@njit\ndef f(n):\n    if n <= 0:\n        return 1\n    return n * f(n - 1)",
        "say(f(5))",
    ),
    own(
        "option_error_model",
        '"python"',
        '"numpy"',
        '@njit(error_model="python")\ndef f(x):\n    return 1 / x > 5',
        "say(f(0.0))",
        oracle="fresh",
    ),
    own(
        "option_boundscheck",
        "False",
        "True",
        "@njit(boundscheck=False)\ndef f(a):\n    return a[5]",
        "say(f(np.arange(10)[:3]))",
        oracle="fresh",
    ),
    own(
        "option_fastmath",
        "False",
        "True",
        "@njit(fastmath=False)\ndef f(x):\n    return x != x",
        "say(f(np.nan))",
        oracle="fresh",
    ),
    own(
        "option_locals",
        "float64",
        "float32",
        'from numba import types\n@njit(locals={"y": types.float64})\ndef f(x):\n    y = x * 0.1\n    return y',
        "say(f(1.0))",
        oracle="fresh",
    ),
    own(
        "option_parallel",
        "False",
        "True",
        "from numba import prange\n@njit(parallel=False)\ndef f(a):\n    s = 0\n    for i in prange(a.size):\n"
        "        s += a[i]\n    return s",
        "say(f(np.arange(10)))",
        changes=False,
        compiled=None,
    ),
    own(
        "option_inline",
        "never",
        "always",
        '@njit(inline="never")\ndef f(x):\n    return x + 1',
        changes=False,
    ),
    Edit(
        "own_default_from_a_global",  # evaluated when the definition runs, not when the function does
        cells=["K = 1", "@njit\ndef f(x, k=K):\n    return x + k"],
        edit=["K = 2"],
        changes=False,
    ),
    Edit(
        "own_default_from_a_global_rerun",
        cells=["K = 1", "@njit\ndef f(x, k=K):\n    return x + k"],
        edit=["K = 2", "@njit\ndef f(x, k=K):\n    return x + k"],
        compiled=["f"],
        cause=None,
    ),
    Edit(
        "own_recursion_under_another_name",  # the old function goes on, and calls the new one
        cells=["@njit\ndef f(n):\n    if n <= 0:\n        return 1\n    return n + f(n - 1)\nh = f"],
        edit=["@njit\ndef f(n):\n    if n <= 0:\n        return 100\n    return n * f(n - 1)"],
        call="say(f(5), h(5))",
        compiled=["f", "f"],
        cause=None,
    ),
    Edit(
        "own_signature_added",
        cells=["@njit\ndef f(x):\n    return x + 1"],
        edit=[""],
        call="say(f(10), f(1.5))",
        changes=False,
    ),
]

# ---- callees --------------------------------------------------------------------------------------------------------

CALLEES = [
    Edit(
        "callee_in_the_same_cell",
        cells=[G + F, OTHER],
        edit=[G2 + F],
        call=BOTH,
        compiled=["f", "g"],
        cause=r"\bg\b",
        chain={"f": ["f"]},
    ),
    Edit(
        "callee_in_another_cell",
        cells=[G, F, OTHER],
        edit=[G2],
        call=BOTH,
        compiled=["f", "g"],
        cause=r"\bg\b",
        chain={"f": ["f"]},
    ),
    Edit(
        "callee_called_from_python_too",
        cells=[G, F, OTHER],
        edit=[G2],
        call="say(g(10), f(10), g(1.5), other(10))",
        compiled=["f", "g", "g"],
        cause=r"\bg\b",
        chain={"f": ["f"]},
    ),
    Edit(
        "callee_of_a_callee",
        cells=["@njit\ndef h(x):\n    return x + 1", G.replace("x + 1", "h(x) + 1"), F, OTHER],
        edit=["@njit\ndef h(x):\n    return x + 7"],
        call=BOTH,
        compiled=["f", "g", "h"],
        cause=r"\bh\b",
        chain={"f": ["g", "f"]},
    ),
    Edit(
        "callee_far_down",
        cells=["@njit\ndef f0(x):\n    return x + 1"]
        + [f"@njit\ndef f{n}(x):\n    return f{n - 1}(x) + {n}" for n in range(1, 6)]
        + [OTHER],
        edit=["@njit\ndef f0(x):\n    return x + 2"],
        call="say(f5(10), other(10))",
        compiled=["f0", "f1", "f2", "f3", "f4", "f5"],
        cause=r"\bf0\b",
        chain={"f5": ["f1", "f2", "f3", "f4", "f5"]},
    ),
    Edit(
        "callee_of_two_callers",
        cells=[G, F, "@njit\ndef e(x):\n    return g(x) * 5", OTHER],
        edit=[G2],
        call="say(f(10), e(10), other(10))",
        compiled=["e", "f", "g"],
        cause=r"\bg\b",
        chain={"f": ["f"], "e": ["e"]},
    ),
    Edit(
        "callee_of_one_signature_only",  # the other signature does not call it, and keeps its code
        cells=[G, "@njit\ndef f(x, y=None):\n    if y is not None:\n        return g(x) * y\n    return x"],
        edit=[G2],
        call="say(f(10), f(10, 3))",
        compiled=["f", "g"],
        cause=r"\bg\b",
        chain={"f": ["f"]},
    ),
    Edit(
        "callee_default",
        cells=["@njit\ndef g(x, k=1):\n    return x + k", F],
        edit=["@njit\ndef g(x, k=2):\n    return x + k"],
        compiled=["f", "g"],
        cause=r"\bg\b",
        chain={"f": ["f"]},
    ),
    Edit(
        "callee_option",
        cells=['@njit(error_model="python")\ndef g(x):\n    return 1 / x', F],
        edit=['@njit(error_model="numpy")\ndef g(x):\n    return 1 / x'],
        call="say(f(0.0))",
        compiled=["f", "g"],
        cause=r"\bg\b",
        oracle="fresh",
    ),
    Edit(
        "callee_option_inline",
        cells=[G, F],
        edit=[G.replace("@njit", '@njit(inline="always")')],
        compiled=["f"],
        cause=r"\bg\b",
        changes=False,
    ),
    Edit(
        "callee_inlined",
        cells=[G.replace("@njit", '@njit(inline="always")'), F, OTHER],
        edit=[G2.replace("@njit", '@njit(inline="always")')],
        call=BOTH,
        compiled=["f"],
        cause=r"\bg\b",
        chain={"f": ["f"]},
    ),
    Edit(
        "callee_of_an_inlined_callee",
        cells=["@njit\ndef h(x):\n    return x + 1", '@njit(inline="always")\ndef g(x):\n    return h(x) + 1', F, OTHER],
        edit=["@njit\ndef h(x):\n    return x + 2"],
        call=BOTH,
        compiled=["f", "h"],
        cause=r"\bh\b",
    ),
    Edit(
        "global_of_an_inlined_callee",
        cells=["K = 1", '@njit(inline="always")\ndef g(x):\n    return x + K', F, OTHER],
        edit=["K = 2"],
        call=BOTH,
        compiled=["f"],
        cause=r"\bK\b",
    ),
    Edit(
        "callee_inlined_by_a_cost_model",
        cells=["def decide(expr, caller, callee):\n    return False\n@njit(inline=decide)\ndef g(x):\n    return x + 1", F],
        edit=["def decide(expr, caller, callee):\n    return True\n@njit(inline=decide)\ndef g(x):\n    return x + 1"],
        compiled=["f"],
        cause=r"\bg\b",
        changes=False,
    ),
    Edit(
        "callee_registered_jitable",
        cells=["from numba.extending import register_jitable", "@register_jitable\ndef g(x):\n    return x + 1", F, OTHER],
        edit=["@register_jitable\ndef g(x):\n    return x + 2"],
        call=BOTH,
        compiled=["f"],
        cause=r"\bg\b",
    ),
    Edit(
        "global_of_a_callee_registered_jitable",
        cells=[
            "from numba.extending import register_jitable",
            "K = 1",
            "@register_jitable\ndef g(x):\n    return x + K",
            F,
            OTHER,
        ],
        edit=["K = 2"],
        call=BOTH,
        compiled=["f"],
        cause=r"\bK\b",
    ),
    Edit(
        "callee_of_a_recursion",
        cells=[G, "@njit\ndef f(n):\n    if n <= 0:\n        return 0\n    return g(n) + f(n - 1)", OTHER],
        edit=[G2],
        call=BOTH,
        compiled=["f", "g"],
        cause=r"\bg\b",
    ),
    Edit(
        "mutual_recursion",
        cells=[
            "@njit\ndef ping(n):\n    if n <= 0:\n        return 0\n    return pong(n - 1) + 1",
            "@njit\ndef pong(n):\n    if n <= 0:\n        return 0\n    return ping(n - 1) + 10",
            OTHER,
        ],
        edit=["@njit\ndef pong(n):\n    if n <= 0:\n        return 0\n    return ping(n - 1) + 100"],
        call="say(ping(3), other(10))",
        compiled=["ping", "pong"],
        cause=r"\bpong\b",
    ),
    Edit(
        "mutual_recursion_from_both_ends",
        cells=[
            "@njit\ndef ping(n):\n    if n <= 0:\n        return 0\n    return pong(n - 1) + 1",
            "@njit\ndef pong(n):\n    if n <= 0:\n        return 0\n    return ping(n - 1) + 10",
        ],
        edit=["@njit\ndef pong(n):\n    if n <= 0:\n        return 0\n    return ping(n - 1) + 100"],
        call="say(ping(3), pong(3))",
        compiled=None,
        cause=r"\bpong\b",
    ),
    Edit(
        "global_of_a_mutual_recursion",  # one verdict for the circle
        cells=[
            "K = 10",
            "@njit\ndef ping(n):\n    if n <= 0:\n        return 0\n    return pong(n - 1) + 1",
            "@njit\ndef pong(n):\n    if n <= 0:\n        return 0\n    return ping(n - 1) + K",
            "@njit\ndef f(n):\n    return ping(n) * 2",
            OTHER,
        ],
        edit=["K = 100"],
        call="say(f(3), other(10))",
        compiled=["f", "ping", "pong"],
        cause=r"\bK\b",
    ),
    Edit(
        "global_of_the_outer_function_of_a_mutual_recursion",  # the inner one, compiled on the way, calls back into it
        cells=[
            "K = 10",
            "@njit\ndef ping(n):\n    if n <= 0:\n        return K\n    return pong(n - 1) + 1",
            "@njit\ndef pong(n):\n    if n <= 0:\n        return 0\n    return ping(n - 1) * 2",
            "say(ping(3))",
            OTHER,
        ],
        edit=["K = 100"],
        call="say(pong(3), ping(4), other(10))",
        compiled=["ping", "pong"],
        cause=r"\bK\b",
    ),
    Edit(
        "callee_in_a_tuple",
        cells=[
            "from numba import literal_unroll",
            G,
            "@njit\ndef h(x):\n    return x * 2",
            "ALL = (g, h)",
            "@njit\ndef f(x):\n    for fn in literal_unroll(ALL):\n        x = fn(x)\n    return x",
        ],
        edit=["ALL = (h, g)"],
        compiled=None,
        cause=r"\bALL\b",
    ),
    Edit(
        "callee_rebound",
        cells=[G, "@njit\ndef h(x):\n    return x * 7", "fn = g", "@njit\ndef f(x):\n    return fn(x)", OTHER],
        edit=["fn = h"],
        call=BOTH,
        compiled=["f", "h"],
        cause=r"\bfn\b",
    ),
    Edit(
        "callee_that_becomes_a_builtin",
        cells=["@njit\ndef g(x):\n    return x - 1", "@njit\ndef f(x):\n    return g(x)"],
        edit=["g = abs"],
        call="say(f(-10))",
        compiled=["f"],
        cause=r"\bg\b",
    ),
    Edit(
        "callee_that_shadows_a_builtin",  # the absence of a name is an edge
        cells=["@njit\ndef f(x):\n    return max(x, 2)", OTHER],
        edit=["@njit\ndef max(x, y):\n    return 7"],
        call=BOTH,
        compiled=["f", "max"],
        cause=r"\bmax\b",
        stages=["first", "again", "rerun", "edited", "settled"],
    ),
    Edit(
        "callee_that_shadows_a_builtin_no_more",
        cells=["@njit\ndef max(x, y):\n    return 7", "@njit\ndef f(x):\n    return max(x, 2)"],
        edit=["del max"],
        compiled=["f"],
        cause=r"\bmax\b",
    ),
    Edit(
        "callee_as_an_argument",
        cells=[G, "@njit\ndef f(fn, x):\n    return fn(x) * 3", OTHER],
        edit=[G2],
        call="say(f(g, 10), other(10))",
        compiled=["f", "g"],
    ),
    Edit(
        "callee_of_an_argument",
        cells=[
            "@njit\ndef h(x):\n    return x + 1",
            "@njit\ndef g(x):\n    return h(x)",
            "@njit\ndef f(fn, x):\n    return fn(x)",
            OTHER,
        ],
        edit=["@njit\ndef h(x):\n    return x + 2"],
        call="say(f(g, 10), other(10))",
        compiled=["f", "g", "h"],
        cause=r"\bh\b",
    ),
    Edit(
        "callee_in_a_closure",
        cells=["def make(fn):\n    @njit\n    def f(x):\n        return fn(x)\n    return f", G, "f = make(g)"],
        edit=[G2, "f = make(g)"],
        compiled=["f", "g"],
    ),
    Edit(
        "callee_in_an_old_closure",  # the closure holds the old function, and so does Python
        cells=["def make(fn):\n    @njit\n    def f(x):\n        return fn(x)\n    return f", G, "f = make(g)"],
        edit=[G2],
        changes=False,
    ),
    Edit(
        "callee_in_a_parallel_loop",
        cells=[
            G,
            "from numba import prange",
            "@njit(parallel=True)\ndef f(a):\n    s = 0\n    for i in prange(a.size):\n        s += g(a[i])\n    return s",
            OTHER,
        ],
        edit=[G2],
        call="say(f(np.arange(10)), other(10))",
        compiled=["f", "g"],
        cause=r"\bg\b",
    ),
    Edit(
        "callee_first_class",  # Numba reads the address of the function at run time
        cells=[
            "from numba import types",
            '@njit("i8(i8)")\ndef g(x):\n    return x + 1',
            "@njit(types.int64(types.FunctionType(types.int64(types.int64)), types.int64))\ndef f(fn, x):\n    return fn(x)",
        ],
        edit=['@njit("i8(i8)")\ndef g(x):\n    return x + 2'],
        call="say(f(g, 10))",
        compiled=["g"],
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "callee_in_object_mode",  # runs as Python: always the live one
        cells=[
            "from numba import objmode",
            "def helper(x):\n    return x + 1",
            '@njit\ndef f(x):\n    with objmode(y="int64"):\n        y = helper(x)\n    return y',
        ],
        edit=["def helper(x):\n    return x + 2"],
        compiled=None,
        cause=None,
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "callee_of_a_generator",
        cells=[
            G,
            "@njit\ndef gen(n):\n    for i in range(n):\n        yield g(i)",
            "@njit\ndef f(n):\n    s = 0\n    for i in gen(n):\n        s += i\n    return s",
            OTHER,
        ],
        edit=[G2],
        call=BOTH,
        compiled=["f", "g", "gen"],
        cause=r"\bg\b",
    ),
    Edit(
        "callee_with_lists_and_strings",
        cells=[
            "@njit\ndef g(words):\n    return [word + '!' for word in words]",
            "@njit\ndef f(x):\n    return g(['a' * x, 'b'])",
            OTHER,
        ],
        edit=["@njit\ndef g(words):\n    return [word + '?' for word in words]"],
        call="say(f(2), other(10))",
        compiled=["f", "g"],
        cause=r"\bg\b",
    ),
    Edit(
        "callee_held_in_a_list",
        cells=[G, F, "held = [f]"],
        edit=[G2],
        call="say(held[0](10))",
        compiled=["f", "g"],
        cause=r"\bg\b",
    ),
    Edit(
        "callee_deleted",
        cells=[G, F],
        edit=["del g"],
        call="try:\n    say(f(10))\nexcept Exception:\n    say('it fails')",
        compiled=None,
        cause=r"\bg\b",
        free=["settled", "redone"],  # what does not compile is tried at each call
        stages=["first", "again", "rerun", "edited", "settled", "undone"],
    ),
    Edit(
        "callee_defined_later",  # there was an error, and now there is none
        cells=[F],
        edit=[G],
        call="try:\n    say(f(10))\nexcept Exception:\n    say('it fails')",
        compiled=None,
        stages=["first", "edited", "settled"],
    ),
]

# ---- when the edit is noticed ---------------------------------------------------------------------------------------

INSTANTS = [
    Edit(
        "redefined_and_called_in_one_cell",
        cells=[G, F],
        edit=[G2 + "\nsay(f(10))\n" + G.replace("+ 1", "+ 3") + "\nsay(f(10))\nsay(g(10))"],
        compiled=["f", "f", "g", "g"],
        cause=r"\bg\b",
    ),
    Edit(
        "rebound_and_called_in_one_cell",
        cells=["K = 1", "@njit\ndef f(x):\n    return x + K"],
        edit=["K = 2\nsay(f(10))\nK = 3\nsay(f(10))\nK += 1\nsay(f(10))\nK, L = 5, 6\nsay(f(10))\nK: int = 6\nsay(f(10))"],
        compiled=["f"] * 5,
        cause=r"\bK\b",
    ),
    Edit(
        "rebound_and_called_on_one_line",
        cells=["K = 1", "@njit\ndef f(x):\n    return x + K"],
        edit=["K = 2; say(f(10)); K = 3; say(f(10))"],
        compiled=["f"] * 2,
        cause=r"\bK\b",
    ),
    Edit(
        "imported_and_called_in_one_cell",
        cells=["write('one.py', 'K = 1')\nwrite('two.py', 'K = 2')", "from one import K", "@njit\ndef f(x):\n    return x + K"],
        edit=["from two import K\nsay(f(10))"],
        compiled=["f"],
        cause=r"\bK\b",
    ),
    Edit(
        "attribute_set_and_called_in_one_cell",
        cells=["write('cfg.py', 'K = 1')", "import cfg\ncfg.K = 1", "@njit\ndef f(x):\n    return x + cfg.K"],
        edit=["cfg.K = 2\nsay(f(10))\ncfg.K = 3\nsay(f(10))"],
        compiled=["f"] * 2,
        cause=r"\bK\b",
    ),
    Edit(
        "array_changed_and_called_in_one_cell",
        cells=["A = np.array([1, 2, 3])", "@njit\ndef f(x):\n    return x + A[1]"],
        edit=["A[1] = 7\nsay(f(10))\nA += 1\nsay(f(10))"],
        compiled=["f"] * 2,
        cause=r"\bA\b",
    ),
    Edit(
        "deleted_and_called_in_one_cell",
        cells=["@njit\ndef abs(x):\n    return 7", "@njit\ndef f(x):\n    return abs(x)"],
        edit=["del abs\nsay(f(-10))"],
        call="say(f(-10))",
        compiled=["f"],
        cause=r"\babs\b",
    ),
    Edit(
        "bound_by_a_loop_and_called_after_it",
        cells=["K = 1", "@njit\ndef f(x):\n    return x + K"],
        edit=["for K in (2, 3, 4):\n    pass\nsay(f(10))"],
        compiled=["f"],
        cause=r"\bK\b",
    ),
    Edit(
        "bound_by_with_if_and_try_and_called_after",
        cells=["import contextlib", "K = 1", "@njit\ndef f(x):\n    return x + K"],
        edit=[
            (
                "if True:\n    K = 2\nsay(f(10))\ntry:\n    K = 3\nfinally:\n    pass\nsay(f(10))\n"
                "with contextlib.nullcontext(4) as K:\n    pass\nsay(f(10))\nsay((K := 5))\nsay(f(10))"
            )
        ],
        compiled=["f"] * 4,
        cause=r"\bK\b",
    ),
    Edit(
        "bound_by_a_function_and_called_in_the_next_cell",
        cells=["K = 1", "@njit\ndef f(x):\n    return x + K", "def set_k(value):\n    global K\n    K = value"],
        edit=["set_k(2)"],
        compiled=["f"],
        cause=r"\bK\b",
    ),
    Edit(
        "bound_by_a_magic",
        cells=["K = 1", "@njit\ndef f(x):\n    return x + K"],
        edit=["%time K = 2"],
        compiled=["f"],
        cause=r"\bK\b",
    ),
    Edit(
        "bound_in_a_cell_that_fails",
        cells=["K = 1", "@njit\ndef f(x):\n    return x + K"],
        edit=["try:\n    get_ipython().run_cell('K = 2\\nraise ValueError')\nexcept ValueError:\n    pass"],
        compiled=["f"],
        cause=r"\bK\b",
    ),
    Edit(
        "bound_through_the_namespace",
        cells=["K = 1", "@njit\ndef f(x):\n    return x + K"],
        edit=["globals()['K'] = 2", "get_ipython().push({'K': 3})"],
        compiled=["f"],
        cause=r"\bK\b",
    ),
    Edit(
        "rebound_before_the_first_call",
        cells=["K = 1", "@njit\ndef f(x):\n    return x + K", "K = 5"],
        edit=["K = 6"],
        compiled=["f"],
        cause=r"\bK\b",
    ),
    Edit(
        "rebound_between_callee_and_caller",  # plain Numba links the g that saw K = 1
        cells=["K = 1", "@njit\ndef g(x):\n    return x + K", F, "say(g(1))", "K = 2"],
        edit=["K = 3"],
        compiled=["f", "g"],
        cause=r"\bK\b",
        stages=["first", "again", "edited", "settled"],
    ),
    Edit(
        "rebound_and_back_in_one_cell",
        cells=["K = 1", "@njit\ndef f(x):\n    return x + K"],
        edit=["K = 2\nK = 1"],
        changes=False,
        cause=None,
    ),
]

# ---- edits that change nothing --------------------------------------------------------------------------------------

NOTHING = [
    Edit("unchanged", cells=[G, F], edit=[G], changes=False),
    Edit(
        "unchanged_and_called_in_one_cell", cells=[G, F], edit=[G + "\nsay(f(10))\n" + G + "\nsay(f(10), g(10))"], changes=False
    ),
    Edit("comment", cells=[G, F], edit=[G.replace("x + 1", "x + 1  # a comment")], changes=False),
    Edit(
        "blank_lines",
        cells=[G, F],
        edit=["\n\n\n" + G.replace("    return", "\n\n    return").replace(":\n", ":\n\n")],
        changes=False,
    ),
    Edit("spaces", cells=[G, F], edit=[G.replace("x + 1", "(x  +  1)")], changes=False),
    Edit("annotation", cells=[G, F], edit=[G.replace("(x)", "(x: int) -> int")], changes=False),
    Edit("decorator_spelled_differently", cells=[G, F], edit=[G.replace("@njit", "@numba.njit()")], changes=False),
    Edit("unrelated_function", cells=[G, F], edit=[OTHER], changes=False),
    Edit("unrelated_name", cells=[G, F, "L = 1"], edit=["L = 2\nM = [1]"], changes=False),
    Edit("moved_to_another_cell", cells=[G + F], edit=[F, G], changes=False),
    Edit("defined_twice_in_a_cell", cells=[G, F], edit=[G2 + G], changes=False, cause=None),
    Edit(
        "name_in_a_pruned_branch",
        cells=["FLAG = False\nX = 1", "@njit\ndef f(x):\n    if FLAG:\n        return x + X\n    return x"],
        edit=["X = 2"],
        changes=False,
    ),
    Edit(
        "equal_value",
        cells=["K = 1000", "T = (1, 2.5, 'a')", "A = np.array([1, 2])", "@njit\ndef f(x):\n    return x + K + T[0] + A[1]"],
        edit=["K = 500 * 2", "T = (1, 2.5, 'ab'[:1])", "A = np.arange(1, 3)"],
        changes=False,
    ),
    Edit(
        "not_a_number",  # nan != nan, yet it is the same
        cells=["K = np.nan", "@njit\ndef f(x):\n    return x + K"],
        edit=["K = float('nan')"],
        changes=False,
    ),
    Edit(
        "closures_built_on_each_call",  # Numba compiles each of them
        cells=["def f(x, k=3):\n    @njit\n    def inner(y):\n        return y * k\n    return inner(x)"],
        edit=["say([f(x) for x in range(5)])"],
        changes=False,
    ),
]

CLOSURES_BUILT = Edit(
    "closures_built_with_another_value",
    cells=["def f(x, k=3):\n    @njit\n    def inner(y):\n        return y * k\n    return inner(x)"],
    edit=["say([f(x, k) for x in range(3) for k in (3, 4, 3, 5, 4)])"],
    compiled=["inner", "inner"],
    changes=False,
)

EDITS = [*OWN, *CALLEES, *INSTANTS, *NOTHING, CLOSURES_BUILT]


def test_edit(edit: Edit, nurseries: Nurseries) -> None:
    check(edit, play(edit, nurseries))
