"""Edited functions: the function itself, its options, what it calls, and what Numba consulted to compile it."""

from __future__ import annotations

from harness import Batch, Runs, Scenario, check_answers, check_reasons, check_restored, several, swap, write

CALLEE = "callee_changed"
METHOD = "method_changed"
OVERLOAD = "overload_changed"

# ---- the function itself --------------------------------------------------------------------------------------------

OWN = [
    Scenario(
        "own_body",
        main="""
            @njit
            def f(x):
                return x + 1
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2"),
        miss={"f": METHOD},
    ),
    Scenario(
        "own_constant_of_equal_value",  # 1 == True: a digest of constants must see their types
        main="""
            @njit
            def f(x):
                return x, 1, (1, 2), 0.0
            print(f(10))
        """,
        edit=swap("x, 1, (1, 2), 0.0", "x, True, (1, 2), 0.0"),
        miss={"f": METHOD},
    ),
    Scenario(
        "own_constant_in_a_tuple_of_equal_value",
        main="""
            @njit
            def f(x):
                return (1, 2)
            print(f(10))
        """,
        edit=swap("(1, 2)", "(1.0, 2)"),
        miss={"f": METHOD},
    ),
    Scenario(
        "own_constant_minus_zero",
        main="""
            @njit
            def f(x):
                return np.copysign(x, 0.0)
            print(f(10.0))
        """,
        edit=swap("0.0)\nprint", "-0.0)\nprint"),
        miss={"f": METHOD},
    ),
    Scenario(
        "own_inner_function",  # nested code is part of the definition
        main="""
            @njit
            def f(x):
                def inner(y):
                    return y + 1
                return inner(x)
            print(f(10))
        """,
        edit=swap("y + 1", "y + 2"),
        miss={"f": METHOD},
    ),
    Scenario(
        "own_names_only",  # the same bytecode and constants, another name
        main="""
            @njit
            def f(x):
                return np.sin(x)
            print(f(1.0))
        """,
        edit=swap("np.sin", "np.cos"),
        miss={"f": METHOD},
    ),
    Scenario(
        "own_default",
        main="""
            @njit
            def f(x, k=1):
                return x + k
            print(f(10))
        """,
        edit=swap("k=1", "k=2"),
        miss={"f": METHOD},
    ),
    Scenario(
        "own_default_of_equal_value",
        main="""
            @njit
            def f(x, k=1):
                return x, k
            print(f(10))
        """,
        edit=swap("k=1", "k=True"),
        miss={"f": METHOD},
    ),
    Scenario(
        "option_set_after_the_first_call",
        main="""
            @njit
            def f(x):
                return 1.0 / x
            print(f(1))
            OTHER = False
            if OTHER:
                f.targetoptions["error_model"] = "numpy"
            try:
                print(f(0.0))
            except ZeroDivisionError as error:
                print("raised", error)
        """,
        edit=swap("OTHER = False", "OTHER = True"),
        miss={"f": "method_changed"},
    ),
    Scenario(
        "own_default_changed_in_place",  # after the first signature was compiled, before the second was
        main="""
            D = np.array([1, 2, 3])
            @njit
            def f(x, a=D):
                return x + a[0]
            print(f(1))
            D[0] = 99
            print(f(1.0))
        """,
        edit=swap("[1, 2, 3]", "[99, 2, 3]"),
        dropped={"f": "incoherent"},
        restored=False,
    ),
    Scenario(
        "own_default_from_another_module",
        files={"cfg.py": "K = 1\n"},
        main="""
            from .cfg import K
            @njit
            def f(x, k=K):
                return x + k
            print(f(10))
        """,
        edit=swap("K = 1", "K = 2", "cfg.py"),
        miss={"f": METHOD},
    ),
    Scenario(
        "own_keyword_of_a_call",
        main="""
            @njit
            def g(a=1, b=2):
                return a - b
            @njit
            def f(x):
                return g(a=x)
            print(f(10))
        """,
        edit=swap("a=x", "b=x"),
        miss={"f": METHOD},
    ),
    Scenario(
        "own_recursion",
        main="""
            @njit
            def f(n):
                if n <= 0:
                    return 1
                return n * f(n - 1)
            print(f(5))
        """,
        edit=swap("return 1", "return 2"),
        miss={"f": METHOD},
    ),
    Scenario(
        "own_name",
        main="""
            @njit
            def f(x):
                return x + 1
            print(f(10))
        """,
        edit=swap("f(", "h("),
        changes=False,
    ),
    Scenario(
        "own_explicit_signature",
        main="""
            @njit("f8(f8)")
            def f(x):
                return x * 0.1
            print(f(1))
        """,
        edit=swap("f8(f8)", "f4(f8)"),
        miss={"f": "method_changed|not_traced"},
    ),
    Scenario(
        "own_literal_argument",
        main="""
            from numba import literally
            @njit
            def f(x, n):
                return literally(n) + x
            print(f(1, 3))
        """,
        edit=swap("f(1, 3)", "f(1, 4)"),
        miss={"f": "not_traced"},
    ),
    Scenario(
        "own_generator",
        main="""
            @njit
            def gen(n):
                for i in range(n):
                    yield i + 1
            @njit
            def f(n):
                s = 0
                for i in gen(n):
                    s += i
                return s
            print(f(3))
        """,
        edit=swap("i + 1", "i + 2"),
        miss={"f": "callee_changed"},
    ),
]

# ---- options --------------------------------------------------------------------------------------------------------

OPTIONS = [
    Scenario(
        "option_fastmath",
        main="""
            @njit(fastmath=False)
            def f(x):
                return x != x
            print(f(np.nan))
        """,
        edit=swap("=False", "=True"),
        miss={"f": METHOD},
    ),
    Scenario(
        "option_fastmath_set",  # a set: its order must not matter, its content must
        main="""
            @njit(fastmath={"nnan", "contract"})
            def f(x):
                return x != x
            print(f(np.nan))
        """,
        edit=swap('"nnan", "contract"', '"contract", "arcp"'),
        miss={"f": METHOD},
    ),
    Scenario(
        "option_boundscheck",
        main="""
            @njit(boundscheck=False)
            def f(a):
                return a[5]
            print(f(np.arange(10)[:3]))
        """,
        edit=swap("=False", "=True"),
        miss={"f": METHOD},
    ),
    Scenario(
        "option_error_model",
        main="""
            @njit(error_model="python")
            def f(x):
                return 1 / x
            print(f(0.0))
        """,
        edit=swap('"python"', '"numpy"'),
        miss={"f": METHOD},
    ),
    Scenario(
        "option_error_model_of_a_callee",
        main="""
            @njit(error_model="python")
            def g(x):
                return 1 / x
            @njit
            def f(x):
                return g(x)
            print(f(0.0))
        """,
        edit=swap('"python"', '"numpy"'),
        miss={"f": CALLEE},
    ),
    Scenario(
        "option_inline",
        main="""
            @njit(inline="never")
            def f(x):
                return x + 1
            print(f(10))
        """,
        edit=swap('"never"', '"always"'),
        miss={"f": METHOD},
        changes=False,
    ),
    Scenario(
        "option_inline_of_a_callee",
        main="""
            @njit(inline="never")
            def g(x):
                return x + 1
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap('"never"', '"always"'),
        miss={"f": CALLEE},
        changes=False,
    ),
    Scenario(
        "option_parallel",
        main="""
            from numba import prange
            @njit(parallel=False)
            def f(a):
                s = 0
                for i in prange(a.size):
                    s += a[i]
                return s
            print(f(np.arange(10)))
        """,
        edit=swap("=False", "=True"),
        miss={"f": METHOD},
        changes=False,
    ),
    Scenario(
        "option_locals",
        main="""
            from numba import types
            @njit(locals={"y": types.float64})
            def f(x):
                y = x * 0.1
                return y
            print(f(1.0))
        """,
        edit=swap("float64", "float32"),
        miss={"f": METHOD},
    ),
    Scenario(
        "option_from_another_module",
        files={"cfg.py": 'MODEL = "python"\n'},
        main="""
            from . import cfg
            @njit(error_model=cfg.MODEL)
            def f(x):
                return 1 / x
            print(f(0.0))
        """,
        edit=swap("python", "numpy", "cfg.py"),
        miss={"f": METHOD},
    ),
    Scenario(
        "option_disk_cache",  # Numba's own cache is blind to the callee's file; it must be out of the way
        files={"helper.py": "@njit\ndef g(x):\n    return x + 1\n"},
        main="""
            from .helper import g
            @njit(cache=True)
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2", "helper.py"),
        miss={"f": CALLEE},
    ),
]

# ---- callees --------------------------------------------------------------------------------------------------------

CALLEES = [
    Scenario(
        "callee_in_the_same_file",
        main="""
            @njit
            def g(x):
                return x + 1
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2"),
        miss={"f": CALLEE},
    ),
    Scenario(
        "callee_gets_an_explicit_signature",  # its definition is the same, and it converts its arguments now
        main="""
            @njit
            def helper(x):
                return x + 1
            @njit
            def f(x):
                return helper(x)
            @njit
            def call(function, x):
                return function(x)
            print(f(10), call(helper, 10))
        """,
        edit=swap("@njit\ndef helper", '@njit("float64(float64)")\ndef helper'),
        miss={"f": "callee_changed|global_changed", "call": "callee_changed|not_traced"},
    ),
    Scenario(
        "callee_with_another_explicit_signature",
        main="""
            @njit("int64(int64)")
            def helper(x):
                return x + 1
            @njit
            def f(x):
                return helper(x)
            @njit
            def call(function, x):
                return function(x)
            print(f(10), call(helper, 10))
        """,
        edit=swap('"int64(int64)"', '"float64(int64)"'),
        miss={"f": "callee_changed|global_changed", "call": "callee_changed|not_traced"},
    ),
    Scenario(
        "callee_with_one_more_explicit_signature",
        main="""
            @njit(["float64(float64)"])
            def helper(x):
                return x + 1
            @njit
            def f(x):
                return helper(x)
            print(f(10))
        """,
        edit=swap('["float64(float64)"]', '["float64(float64)", "int64(int64)"]'),
        miss={"f": "callee_changed|global_changed"},
    ),
    Scenario(
        "ufunc_callee_gets_an_explicit_signature",
        main="""
            from numba import vectorize
            @vectorize
            def helper(x):
                return x + 1
            @njit
            def f(x):
                return helper(x)
            print(f(10))
        """,
        edit=swap("@vectorize\n", '@vectorize(["float64(float64)"])\n'),
        miss={"f": "callee_changed|global_changed"},
    ),
    Scenario(
        "ufunc_callee_with_other_explicit_signatures",
        main="""
            from numba import vectorize
            @vectorize(["float64(float64)"])
            def helper(x):
                return x / 3
            @njit
            def f(x):
                return helper(x)
            print(f(np.int32(10)))
        """,
        edit=swap('["float64(float64)"]', '["int64(int64)", "float64(float64)"]'),
        miss={"f": "callee_changed|global_changed"},
    ),
    Scenario(
        "gufunc_callee",
        main="""
            from numba import guvectorize
            @guvectorize(["void(float64[:], float64[:])"], "(n)->()")
            def eager(a, out):
                out[0] = a[0] + 0.5
            @guvectorize("(n)->()")
            def lazy(a, out):
                out[0] = a[0] + 0.25
            @njit
            def f(a):
                out = np.zeros(2)
                eager(a, out)
                return out.sum()
            @njit
            def g(a):
                out = np.zeros(2)
                lazy(a, out)
                return out.sum()
            print(f(np.ones((2, 3))), g(np.ones((2, 3))))
        """,
        edit=swap("+ 0.5", "+ 1.5"),
        miss={"f": "callee_changed|global_changed"},
        hit=["g"],
    ),
    Scenario(
        "gufunc_callee_with_another_layout",
        main="""
            from numba import guvectorize
            @guvectorize(["void(float64[:], float64[:])"], "(n)->(n)")
            def kernel(a, out):
                for i in range(len(a)):
                    out[i] = a[i] * len(a)
            @njit
            def f(a):
                out = np.zeros((2, 2))
                kernel(a, out)
                return out.sum()
            print(f(np.ones((2, 2))))
        """,
        edit=swap('"(n)->(n)"', '"(m)->(m)"'),
        miss={"f": "callee_changed|global_changed"},
        changes=False,
    ),
    Scenario(
        "callee_in_another_file",
        files={"helper.py": "@njit\ndef g(x):\n    return x + 1\n"},
        main="""
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2", "helper.py"),
        miss={"f": CALLEE},
    ),
    Scenario(
        "callee_as_attribute_of_a_module",
        files={"helper.py": "@njit\ndef g(x):\n    return x + 1\n"},
        main="""
            from . import helper
            @njit
            def f(x):
                return helper.g(x)
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2", "helper.py"),
        miss={"f": CALLEE},
    ),
    Scenario(
        "callee_of_a_callee",
        files={
            "far.py": "@njit\ndef h(x):\n    return x + 1\n",
            "near.py": "from .far import h\n@njit\ndef g(x):\n    return h(x)\n",
        },
        main="""
            from .near import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2", "far.py"),
        miss={"f": CALLEE},
    ),
    Scenario(
        "callee_called_from_python_too",
        main="""
            @njit
            def g(x):
                return x + 1
            @njit
            def f(x):
                return g(x)
            print(g(10), f(10), g(1.5))
        """,
        edit=swap("x + 1", "x + 2"),
        miss={"f": CALLEE, "g": METHOD},
    ),
    Scenario(
        "callee_default",
        main="""
            @njit
            def g(x, k=1):
                return x + k
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("k=1", "k=2"),
        miss={"f": CALLEE},
    ),
    Scenario(
        "callee_global",  # the edge belongs to the callee, the caller inherits it
        files={"helper.py": "K = 1\n@njit\ndef g(x):\n    return x + K\n"},
        main="""
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("K = 1", "K = 2", "helper.py"),
        miss={"f": "global_changed"},
    ),
    Scenario(
        "callee_inline_always",
        files={"helper.py": '@njit(inline="always")\ndef g(x):\n    return x + 1\n'},
        main="""
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2", "helper.py"),
        miss={"f": CALLEE},
    ),
    Scenario(
        "callee_inline_always_global",  # an inlined body reads the globals of its own module
        files={"helper.py": 'K = 1\n@njit(inline="always")\ndef g(x):\n    return x + K\n'},
        main="""
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("K = 1", "K = 2", "helper.py"),
        miss={"f": "global_changed"},
    ),
    Scenario(
        "callee_inline_cost_model",  # Python code that decides on inlining
        files={
            "helper.py": "def decide(expr, caller, callee):\n    return False\n@njit(inline=decide)\ndef g(x):\n    return x + 1\n"
        },
        main="""
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("False", "True", "helper.py"),
        miss={"f": CALLEE},
        changes=False,
    ),
    Scenario(
        "callee_register_jitable",
        files={"helper.py": "from numba.extending import register_jitable\n@register_jitable\ndef g(x):\n    return x + 1\n"},
        main="""
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2", "helper.py"),
        miss={"f": "callee_changed|overload_changed"},
    ),
    Scenario(
        "callee_register_jitable_global",
        files={
            "helper.py": "from numba.extending import register_jitable\nK = 1\n@register_jitable\ndef g(x):\n    return x + K\n"
        },
        main="""
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("K = 1", "K = 2", "helper.py"),
        miss={"f": "global_changed|callee_changed|overload_changed"},
    ),
    Scenario(
        "callee_of_a_recursion",
        main="""
            @njit
            def g(n):
                return n * 2
            @njit
            def f(n):
                if n <= 0:
                    return 0
                return g(n) + f(n - 1)
            print(f(5))
        """,
        edit=swap("n * 2", "n * 3"),
        miss={"f": CALLEE},
    ),
    Scenario(
        "callee_mutual_recursion_by_inference",
        main="""
            @njit
            def ping(n):
                if n <= 0:
                    return 0
                return pong(n - 1) + 1
            @njit
            def pong(n):
                if n <= 0:
                    return 0
                return ping(n - 1) + 10
            print(ping(3), pong(3))
        """,
        edit=swap("+ 10", "+ 100"),
        miss={"ping": CALLEE},
    ),
    Scenario(
        "callee_in_a_tuple",
        main="""
            from numba import literal_unroll
            @njit
            def g(x):
                return x + 1
            @njit
            def h(x):
                return x * 2
            ALL = (g, h)
            @njit
            def f(x):
                for fn in literal_unroll(ALL):
                    x = fn(x)
                return x
            print(f(10))
        """,
        edit=swap("x * 2", "x * 3"),
        miss={"f": "callee_changed|global_changed"},
    ),
    Scenario(
        "callee_order_in_a_tuple",
        main="""
            from numba import literal_unroll
            @njit
            def g(x):
                return x + 1
            @njit
            def h(x):
                return x * 2
            ALL = (g, h)
            @njit
            def f(x):
                for fn in literal_unroll(ALL):
                    x = fn(x)
                return x
            print(f(10))
        """,
        edit=swap("(g, h)", "(h, g)"),
        miss={"f": "callee_changed|global_changed"},
    ),
    Scenario(
        "callee_as_argument",
        main="""
            @njit
            def g(x):
                return x + 1
            @njit
            def f(fn, x):
                return fn(x)
            print(f(g, 10))
        """,
        edit=swap("x + 1", "x + 2"),
        miss={"f": "callee_changed|not_traced"},
    ),
    Scenario(
        "callee_of_an_argument",
        main="""
            @njit
            def h(x):
                return x + 1
            @njit
            def g(x):
                return h(x)
            @njit
            def f(fn, x):
                return fn(x)
            print(f(g, 10))
        """,
        edit=swap("x + 1", "x + 2"),
        miss={"f": CALLEE},
    ),
    Scenario(
        "callee_as_one_of_two_equal_arguments",  # two closures of one factory passed in: which is which
        main="""
            def make(k):
                @njit
                def g(x):
                    return x + k
                return g
            @njit
            def f(one, two, x):
                return one(x), two(x)
            print(f(make(1), make(2), 10))
        """,
        edit=swap("make(1), make(2)", "make(2), make(1)"),
        restored=False,
    ),
    Scenario(
        "callee_in_a_closure",
        main="""
            def make(fn):
                @njit
                def f(x):
                    return fn(x)
                return f
            @njit
            def g(x):
                return x + 1
            print(make(g)(10))
        """,
        edit=swap("x + 1", "x + 2"),
        miss={"f": "callee_changed|closure_changed"},
    ),
    Scenario(
        "callee_under_a_decorator",  # one code object of `run`, jitted functions of one decorator body
        main="""
            def timed(fn):
                jitted = njit(fn)
                @njit
                def run(x):
                    return jitted(x)
                return run
            @timed
            def a(x):
                return x + 1
            @timed
            def b(x):
                return x + 2
            print(a(10), b(10))
        """,
        edit=swap("x + 2", "x + 3"),
        miss={"run": "callee_changed|closure_changed"},
        hit=["run"],
    ),
    Scenario(
        "callee_of_the_same_name_from_elsewhere",
        files={"one.py": "@njit\ndef g(x):\n    return x + 1\n", "two.py": "@njit\ndef g(x):\n    return x + 2\n"},
        main="""
            from .one import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap(".one", ".two"),
        miss={"f": "callee_changed|global_changed"},
    ),
    Scenario(
        "callee_rebound",
        main="""
            @njit
            def one(x):
                return x + 1
            @njit
            def two(x):
                return x + 2
            g = one
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("g = one", "g = two"),
        miss={"f": "callee_changed|global_changed"},
    ),
    Scenario(
        "callee_that_becomes_a_builtin",
        main="""
            @njit
            def g(x):
                return x - 1
            @njit
            def f(x):
                return g(x)
            print(f(-10))
        """,
        edit=swap("@njit\ndef f", "g = abs\n@njit\ndef f"),
        miss={"f": "callee_changed|global_changed"},
    ),
    Scenario(
        "callee_in_a_parallel_loop",
        main="""
            from numba import prange
            @njit
            def g(x):
                return x + 1
            @njit(parallel=True)
            def f(a):
                s = 0
                for i in prange(a.size):
                    s += g(a[i])
                return s
            print(f(np.arange(10)))
        """,
        edit=swap("x + 1", "x + 2"),
        miss={"f": CALLEE},
    ),
]

# ---- what is not an njit function -----------------------------------------------------------------------------------

KINDS = [
    Scenario(
        "callee_first_class",  # Numba reads the address of the function at run time
        main="""
            from numba import types
            @njit("i8(i8)")
            def g(x):
                return x + 1
            @njit(types.int64(types.FunctionType(types.int64(types.int64)), types.int64))
            def f(fn, x):
                return fn(x)
            print(f(g, 10))
        """,
        edit=swap("x + 1", "x + 2"),
    ),
    Scenario(
        "callee_object_mode",  # runs as Python: always the live one
        main="""
            from numba import objmode
            def helper(x):
                return x + 1
            @njit
            def f(x):
                with objmode(y="int64"):
                    y = helper(x)
                return y
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2"),
        restored=False,
    ),
    Scenario(
        "callee_stencil",
        main="""
            from numba import stencil
            @stencil
            def kernel(a):
                return a[-1] + a[1]
            @njit
            def f(a):
                return kernel(a)
            print(f(np.arange(5)))
        """,
        edit=swap("a[1]", "2 * a[1]"),
        restored=False,
    ),
    Scenario(
        "callee_vectorize",
        main="""
            from numba import vectorize
            @vectorize
            def v(x):
                return x + 1
            @njit
            def f(a):
                return v(a)
            print(f(np.arange(3)), v(1.5))
        """,
        edit=swap("x + 1", "x + 2"),
        restored=False,
    ),
    Scenario(
        "callee_vectorize_eager",
        main="""
            from numba import vectorize
            @vectorize(["i8(i8)", "f8(f8)"])
            def v(x):
                return x + 1
            print(v(np.arange(3)), v(1.5))
        """,
        edit=swap("x + 1", "x + 2"),
        miss={"v": METHOD},
        restored=False,
    ),
    Scenario(
        "callee_of_a_guvectorize",
        main="""
            from numba import guvectorize
            @njit
            def g(x):
                return x + 1
            @guvectorize(["(i8[:], i8[:])"], "(n)->(n)")
            def v(a, out):
                for i in range(a.size):
                    out[i] = g(a[i])
            print(v(np.arange(3)))
        """,
        edit=swap("x + 1", "x + 2"),
        restored=False,
    ),
    Scenario(
        "callee_of_a_cfunc",
        main="""
            from numba import cfunc
            @njit
            def g(x):
                return x + 1
            @cfunc("i8(i8)")
            def c(x):
                return g(x)
            print(c.ctypes(10))
        """,
        edit=swap("x + 1", "x + 2"),
        restored=False,
    ),
    Scenario(
        "callee_method_of_a_jitclass",
        main="""
            from numba import int64
            from numba.experimental import jitclass
            @jitclass([("v", int64)])
            class Box:
                def __init__(self, v):
                    self.v = v
                def get(self):
                    return self.v + 1
            @njit
            def f(v):
                return Box(v).get()
            print(f(10), Box(3).get())
        """,
        edit=swap("self.v + 1", "self.v + 2"),
        restored=False,
    ),
]

# ---- overloads, intrinsics ------------------------------------------------------------------------------------------

OVERLOADS = [
    Scenario(
        "overload_implementation",
        files={
            "ext.py": """
                from numba.extending import overload
                def target(x):
                    raise NotImplementedError
                @overload(target)
                def ol_target(x):
                    def impl(x):
                        return x + 1
                    return impl
            """
        },
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2", "ext.py"),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_calls_a_jitted_helper",
        files={
            "ext.py": """
                from numba.extending import overload
                @njit
                def helper(x):
                    return x + 1
                def target(x):
                    raise NotImplementedError
                @overload(target)
                def ol_target(x):
                    def impl(x):
                        return helper(x)
                    return impl
            """
        },
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2", "ext.py"),
        miss={"f": "overload_changed|callee_changed"},
    ),
    Scenario(
        "overload_consults_plain_python",  # run while typing: which implementation it chose is what counts
        files={
            "ext.py": """
                from numba.extending import overload
                def choose():
                    return 1
                def target(x):
                    raise NotImplementedError
                @overload(target)
                def ol_target(x):
                    if choose() == 1:
                        return lambda x: x + 1
                    return lambda x: x + 2
            """
        },
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("return 1\n", "return 2\n", "ext.py"),
        miss={"f": "overload_changed|global_changed|callee_changed"},
    ),
    Scenario(
        "overload_consults_a_global",
        files={
            "cfg.py": "FAST = True\n",
            "ext.py": """
                from numba.extending import overload
                from . import cfg
                def target(x):
                    raise NotImplementedError
                @overload(target)
                def ol_target(x):
                    if cfg.FAST:
                        return lambda x: x + 1
                    return lambda x: x + 2
            """,
        },
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("True", "False", "cfg.py"),
        miss={"f": "overload_changed|global_changed"},
    ),
    Scenario(
        "overload_closure",
        files={
            "ext.py": """
                from numba.extending import overload
                def target(x):
                    raise NotImplementedError
                def register(k):
                    @overload(target)
                    def ol_target(x):
                        def impl(x):
                            return x + k
                        return impl
                register(1)
            """
        },
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("register(1)", "register(2)", "ext.py"),
        miss={"f": "overload_changed|closure_changed"},
    ),
    Scenario(
        "overload_default_argument",
        files={
            "ext.py": """
                from numba.extending import overload
                def target(x, k=1):
                    raise NotImplementedError
                @overload(target)
                def ol_target(x, k=1):
                    def impl(x, k=1):
                        return x + k
                    return impl
            """
        },
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("k=1", "k=2", "ext.py"),
        miss={"f": "overload_changed|callee_changed"},
    ),
    Scenario(
        "overload_inlined",
        files={
            "ext.py": """
                from numba.extending import overload
                def target(x):
                    raise NotImplementedError
                @overload(target, inline="always")
                def ol_target(x):
                    def impl(x):
                        return x + 1
                    return impl
            """
        },
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("x + 1", "x + 2", "ext.py"),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_jit_options",
        files={
            "ext.py": """
                from numba.extending import overload
                def target(x):
                    raise NotImplementedError
                @overload(target, jit_options={"error_model": "python"})
                def ol_target(x):
                    def impl(x):
                        return 1 / x
                    return impl
            """
        },
        main="""
            from .ext import target
            @njit(error_model="numpy")
            def f(x):
                return target(x)
            print(f(0.0))
        """,
        edit=swap('"error_model": "python"', '"error_model": "numpy"', "ext.py"),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_added",  # an absence that the first compilation relied on: a second overload of one function
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
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap(
            "def target(x):\n    raise NotImplementedError\n",
            "def target(x):\n    raise NotImplementedError\n@overload(target)\ndef ol_first(x):\n    return lambda x: x + 2\n",
            "ext.py",
        ),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_added_behind",  # Numba takes the first that fits
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
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("x + 1\n", "x + 1\n@overload(target)\ndef ol_last(x):\n    return lambda x: x + 2\n", "ext.py"),
        hit=["f"],
        changes=False,
    ),
    Scenario(
        "overload_added_in_front_of_what_declines",  # one before it says no, and the new one comes in between
        files={
            "ext.py": """
                from numba.core import types
                from numba.extending import overload
                def target(x):
                    raise NotImplementedError
                @overload(target)
                def ol_text(x):
                    if isinstance(x, types.UnicodeType):
                        return lambda x: x + "!"
                # between
                @overload(target)
                def ol_target(x):
                    return lambda x: x + 1
            """
        },
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            @njit
            def g(x):
                return target(x)
            print(f(10), g("a"))
        """,
        edit=swap("# between\n", "@overload(target)\ndef ol_new(x):\n    return lambda x: x + 2\n", "ext.py"),
        miss={"f": OVERLOAD},
        hit=["g"],
    ),
    Scenario(
        "overload_with_helpers_in_closure_cells",  # what its implementations call and hand to Python has no other name
        main="""
            from numba.extending import overload
            from numba import objmode
            def register(helper, step):
                def target(x):
                    raise NotImplementedError
                def python(x):
                    return float(x) * 2
                @overload(target)
                def ol_target(x):
                    def impl(x):
                        with objmode(y="float64"):
                            y = python(x)
                        return helper(x) + y + step
                    return impl
                return target
            def made(k):
                @njit
                def helper(x):
                    return x + k
                return helper
            one, two = register(made(1), 3), register(made(2), 4)
            @njit
            def f(x):
                return one(x)
            @njit
            def g(x):
                return two(x)
            print(f(1), g(1))
        """,
        edit=swap("made(2)", "made(5)"),
        miss={"f": OVERLOAD, "g": OVERLOAD},  # the functions that are overloaded have one name
    ),
    Scenario(
        "overload_without_a_module",  # made by exec, as Numba makes those of structs
        main="""
            from numba.extending import overload
            def target(x):
                raise NotImplementedError
            space = {"overload": overload, "target": target, "K": 1}
            exec("@overload(target)\\ndef ol(x):\\n    k = K\\n    return lambda x: x + k\\n", space)
            @njit
            def f(x):
                return target(x) + abs(x)
            print(f(1))
        """,
        edit=swap('"K": 1', '"K": 2'),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_that_consults_a_table",
        main="""
            from numba.extending import overload
            def target(x):
                raise NotImplementedError
            TABLE = {"int": [1, 2], "float": (3, {4})}
            @overload(target)
            def ol_target(x):
                k = TABLE["int"][0]
                return lambda x: x + k
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("[1, 2]", "[2, 2]"),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_that_consults_a_namespace",
        main="""
            from types import SimpleNamespace
            from numba.extending import overload
            def target(x):
                raise NotImplementedError
            CONFIG = SimpleNamespace(step=1)
            @overload(target)
            def ol_target(x):
                k = CONFIG.step
                return lambda x: x + k
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("step=1", "step=2"),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_that_consults_an_instance",
        main="""
            from numba.extending import overload
            def target(x):
                raise NotImplementedError
            class Steps:
                __slots__ = ("size", "held")
                def __init__(self, size):
                    self.size, self.held = size, [size]
                def twice(self):
                    return 2 * self.size
            def register(steps):
                @overload(target)
                def ol_target(x):
                    k = steps.twice()
                    return lambda x: x + k
            register(Steps(1))
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("Steps(1)", "Steps(2)"),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_that_asks_a_method_of_its_own",  # the class changes, the instance does not
        main="""
            from numba.extending import overload
            def target(x):
                raise NotImplementedError
            class Steps:
                def twice(self):
                    return 2
            STEPS = Steps()
            @overload(target)
            def ol_target(x):
                k = STEPS.twice()
                return lambda x: x + k
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap("return 2", "return 3"),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_of_builtins_for_types_elsewhere",  # an extension that is imported too: it has types of its own
        files={
            "ext.py": """
                import operator
                from numba.core import types
                from numba.extending import overload
                class MyType(types.Opaque):
                    pass
                for function in (operator.add, operator.getitem, len, abs, np.sum, np.sort, max):
                    @overload(function)
                    def ol_own(a, *args):
                        if isinstance(a, MyType):
                            return lambda a, *args: 1
            """
        },
        main="""
            # ext
            @njit
            def f(a):
                return np.sum(np.sort(a)) + len(a) + abs(max(a[0], a[1]))
            print(f(np.arange(4.0)))
        """,
        edit=swap("# ext", "from . import ext"),
        hit=["f"],
        changes=False,
    ),
    Scenario(
        "overload_for_one_target",  # that one is asked before Numba's own
        files={
            "ext.py": """
                from numba.extending import overload
                # math.gcd
            """
        },
        main="""
            import math
            from . import ext
            @njit
            def f(x):
                return math.gcd(x, 4)
            print(f(10))
        """,
        edit=swap(
            "# math.gcd",
            "import math\n@overload(math.gcd, target='cpu')\ndef ol_gcd(x, y):\n    return lambda x, y: x + y\n",
            "ext.py",
        ),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_tried_in_vain",  # what it calls fails for these types; edited, it would do
        files={
            "ext.py": """
                from numba import njit
                from numba.extending import overload
                def target(x):
                    raise NotImplementedError
                @njit
                def helper(x):
                    return x.no_such
                @overload(target)
                def ol_first(x):
                    return lambda x: helper(x)
                @overload(target)
                def ol_second(x):
                    return lambda x: x + 1
            """
        },
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
            @njit
            def again(x):
                return target(x) + 1
            print(again(10))
        """,
        edit=swap("x.no_such", "x * 100", "ext.py"),
        miss={"f": "overload_changed|callee_changed", "again": "overload_changed|callee_changed"},
    ),
    Scenario(
        "overload_of_what_was_tried_in_vain",  # a function without an implementation gets one
        files={
            "ext.py": """
                from numba.extending import overload
                def target(x):
                    raise NotImplementedError
                def inner(x):
                    raise NotImplementedError
                @overload(target)
                def ol_first(x):
                    return lambda x: inner(x)
                @overload(target)
                def ol_second(x):
                    return lambda x: x + 1
            """
        },
        main="""
            from .ext import target
            @njit
            def f(x):
                return target(x)
            print(f(10))
        """,
        edit=swap(
            "@overload(target)\ndef ol_first",
            "@overload(inner)\ndef ol_inner(x):\n    return lambda x: x * 100\n@overload(target)\ndef ol_first",
            "ext.py",
        ),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_of_a_library_function",  # an overload of one's own for a function that Numba does not know
        files={
            "ext.py": """
                import textwrap
                from numba.extending import overload
                @overload(textwrap.indent)
                def ol_indent(text, prefix):
                    return lambda text, prefix: prefix + text
            """
        },
        main="""
            import textwrap
            from . import ext
            @njit
            def f(x):
                return textwrap.indent(x, "- ")
            print(f("a"))
        """,
        edit=swap("prefix + text", "prefix + prefix + text", "ext.py"),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_method_implementation",
        files={
            "ext.py": """
                from numba import types
                from numba.extending import overload_method
                @overload_method(types.UnicodeType, "shout_at")
                def shout_at(s, x):
                    return lambda s, x: s + x + "!"
            """
        },
        main="""
            from . import ext
            @njit
            def f(x):
                return x.shout_at("you")
            print(f("hey "))
        """,
        edit=swap('"!"', '"!!"', "ext.py"),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "overload_attribute_implementation",
        files={
            "ext.py": """
                from numba import types
                from numba.extending import overload_attribute
                @overload_attribute(types.UnicodeType, "twice")
                def twice(s):
                    return lambda s: s + s
            """
        },
        main="""
            from . import ext
            @njit
            def f(x):
                return x.twice
            print(f("ab"))
        """,
        edit=swap("s + s", "s + s + s", "ext.py"),
        miss={"f": OVERLOAD},
    ),
    Scenario(
        "intrinsic_code",
        files={
            "ext.py": """
                from numba import types
                from numba.extending import intrinsic
                @intrinsic
                def plus(typingctx, x):
                    def codegen(context, builder, signature, args):
                        return builder.add(args[0], context.get_constant(types.int64, 1))
                    return types.int64(types.int64), codegen
            """
        },
        main="""
            from .ext import plus
            @njit
            def f(x):
                return plus(x)
            print(f(10))
        """,
        edit=swap("types.int64, 1", "types.int64, 2", "ext.py"),
        miss={"f": "overload_changed|callee_changed"},
    ),
    Scenario(
        "intrinsic_global",
        files={
            "ext.py": """
                from numba import types
                from numba.extending import intrinsic
                K = 1
                @intrinsic
                def plus(typingctx, x):
                    def codegen(context, builder, signature, args):
                        return builder.add(args[0], context.get_constant(types.int64, K))
                    return types.int64(types.int64), codegen
            """
        },
        main="""
            from .ext import plus
            @njit
            def f(x):
                return plus(x)
            print(f(10))
        """,
        edit=swap("K = 1", "K = 2", "ext.py"),
        miss={"f": "overload_changed|callee_changed|global_changed"},
    ),
    Scenario(
        "intrinsic_calls_plain_python",
        files={
            "emit.py": "def amount():\n    return 1\n",
            "ext.py": """
                from numba import types
                from numba.extending import intrinsic
                from .emit import amount
                @intrinsic
                def plus(typingctx, x):
                    def codegen(context, builder, signature, args):
                        return builder.add(args[0], context.get_constant(types.int64, amount()))
                    return types.int64(types.int64), codegen
            """,
        },
        main="""
            from .ext import plus
            @njit
            def f(x):
                return plus(x)
            print(f(10))
        """,
        edit=swap("return 1", "return 2", "emit.py"),
        miss={"f": "overload_changed|callee_changed|global_changed"},
    ),
    Scenario(
        "lowering_of_an_own_type",  # the low-level registry: typeof, unbox, box, lowering by decorator
        files={
            "ext.py": """
                from numba import types
                from numba.core import cgutils
                from numba.extending import lower_builtin, type_callable
                def plus(x):
                    raise NotImplementedError
                @type_callable(plus)
                def type_plus(context):
                    def typer(x):
                        return types.int64
                    return typer
                @lower_builtin(plus, types.int64)
                def lower_plus(context, builder, sig, args):
                    return builder.add(args[0], context.get_constant(types.int64, 1))
            """
        },
        main="""
            from .ext import plus
            @njit
            def f(x):
                return plus(x)
            print(f(10))
        """,
        edit=swap("types.int64, 1", "types.int64, 2", "ext.py"),
        restored=False,
    ),
]

# ---- functions made by code -----------------------------------------------------------------------------------------

MADE = [
    Scenario(
        "made_by_exec",  # no file behind it
        main="""
            def make(k):
                space = {"__name__": __name__}
                exec(f"def f(x):\\n    return x + {k}\\n", space)
                return njit(space["f"])
            print(make(1)(10), make(2)(10))
        """,
        edit=swap("make(1)(10), make(2)(10)", "make(2)(10), make(3)(10)"),
        miss={"f": "method_changed|not_traced"},
        hit=["f"],
    ),
    Scenario(
        "made_by_exec_without_a_module_name",
        main="""
            def make(k):
                space = {}
                exec(f"def nameless(x):\\n    return x + {k}\\n", space)
                return njit(space["nameless"])
            print(make(1)(10), make(2)(10))
        """,
        edit=swap("make(1)(10), make(2)(10)", "make(2)(10), make(3)(10)"),
        restored=False,
    ),
    Scenario(
        "made_by_exec_in_the_file_s_name",
        main="""
            def make(k):
                space = {"__name__": __name__, "K": k}
                exec(compile("def f(x):\\n    return x + K\\n", __file__, "exec"), space)
                return njit(space["f"])
            print(make(1)(10), make(2)(10))
        """,
        edit=swap("make(1)(10), make(2)(10)", "make(2)(10), make(3)(10)"),
        miss={"f": "global_changed"},
        hit=["f"],
    ),
    Scenario(
        "two_lambdas_on_a_line",
        main="""
            one, two = njit(lambda x: x + 1), njit(lambda x: x + 2)
            print(one(10), two(10))
        """,
        edit=swap("x + 1), njit(lambda x: x + 2", "x + 2), njit(lambda x: x + 1"),
        hit=["<lambda>"],
    ),
    Scenario(
        "one_code_object_under_other_globals",
        main="""
            from types import FunctionType
            def template(x):
                return x + K
            def make(k):
                return njit(FunctionType(template.__code__, {"K": k, "__name__": __name__}, "f"))
            print(make(1)(10), make(2)(10))
        """,
        edit=swap("make(1)(10), make(2)(10)", "make(2)(10), make(3)(10)"),
        changes=True,
    ),
    Scenario(
        "one_definition_twice",  # the second binding of a name counts
        main="""
            @njit
            def g(x):
                return x + 1
            @njit
            def f(x):
                return g(x)
            @njit
            def g(x):
                return x + 2
            print(f(10))
        """,
        edit=swap("x + 2", "x + 3"),
        miss={"f": CALLEE},
    ),
    Scenario(
        "module_replaced_by_one_of_the_same_name",
        files={"helper.py": "K = 1\n@njit\ndef g(x):\n    return x + K\n"},
        main="""
            from . import helper
            @njit
            def f(x):
                return helper.g(x)
            print(f(10))
        """,
        edit=several(
            write("helper/__init__.py", "from .deep import g\n"), write("helper/deep.py", "@njit\ndef g(x):\n    return x + 3\n")
        ),
        miss={"f": "callee_changed|global_changed"},
    ),
]

BATCHES = [
    Batch("own", OWN + MADE),
    Batch("options", OPTIONS),
    Batch("callees", CALLEES),
    Batch("kinds", KINDS),
    Batch("overloads", OVERLOADS),
]


def test_answers(scenario: Scenario, runs: Runs) -> None:
    check_answers(scenario, runs)


def test_reasons(scenario: Scenario, runs: Runs) -> None:
    check_reasons(scenario, runs)


def test_restored(scenario: Scenario, runs: Runs) -> None:
    check_restored(scenario, runs)
