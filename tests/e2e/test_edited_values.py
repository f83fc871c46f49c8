"""Edited data: globals, module attributes, closure cells, classes, and the instant at which Numba reads them."""

from __future__ import annotations

from harness import Batch, Edit, Runs, Scenario, check_answers, check_reasons, check_restored, several, swap

GLOBAL = "global_changed"
CLOSURE = "closure_changed"

# ---- globals --------------------------------------------------------------------------------------------------------


def of_global(name: str, old: str, new: str, body: str, argument: str = "", **rest: object) -> Scenario:
    """A function whose *body* reads the global K, which is *old* and then *new*; it takes x = *argument* if given."""
    main = f"""
K = {old}
@njit
def f({"x" if argument else ""}):
    return {body}
print(repr(f({argument})))
"""
    return Scenario(name, main=main, edit=swap(f"K = {old}\n", f"K = {new}\n"), **{"miss": {"f": GLOBAL}} | rest)  # type: ignore[arg-type]


GLOBALS = [
    of_global("global_integer", "1", "2", "x + K", "10"),
    of_global("global_float", "0.1", "0.2", "x + K", "10"),
    of_global("global_float_by_one_bit", "0.1", "0.10000000000000002", "x * K", "1e17"),
    of_global("global_complex", "1j", "2j", "x + K", "10"),
    of_global("global_string", '"a"', '"b"', "x + K", '"x"'),
    of_global("global_string_by_its_normal_form", '"é"', '"e\\u0301"', "len(K)"),  # they look the same
    of_global("global_bytes", 'b"a"', 'b"b"', "K[0]"),
    of_global("global_boolean", "True", "False", "1 if K else 2"),
    of_global("global_none", "None", "1", "K is None"),
    of_global("global_tuple", "(1, 2)", "(1, 3)", "x + K[1]", "10"),
    of_global("global_tuple_length", "(1, 2)", "(1, 2, 3)", "len(K)"),
    of_global("global_tuple_nested", '(1, (2, "a"))', '(1, (2, "b"))', "K[1][1]"),
    of_global("global_shape", "(2, 3)", "(3, 2)", "np.zeros(K).shape"),
    of_global("global_size", "2", "3", "np.zeros(K).size"),
    of_global("global_slice_bound", "2", "3", "x[:K].sum()", "np.arange(9)"),
    of_global("global_in_str", "1", "2", "str(K)"),
    of_global("global_in_an_f_string", "1", "2", 'f"k={K}"'),
    of_global("global_in_a_comprehension", "1", "2", "[i + K for i in range(x)]", "3"),
    # equal values of other types: typing differs, so must the digests
    of_global("global_one_is_true", "1", "True", "K"),
    of_global("global_one_is_one_point_zero", "1", "1.0", "K"),
    of_global("global_zero_is_false", "0", "False", "K"),
    of_global("global_tuple_of_equal_values", "(1, 0)", "(True, 0.0)", "K"),
    of_global("global_minus_zero", "0.0", "-0.0", "np.copysign(x, K)", "1.0"),
    of_global("global_minus_zero_in_a_tuple", "(0.0, 1)", "(-0.0, 1)", "np.copysign(x, K[0])", "1.0"),
    of_global("global_minus_zero_in_a_complex", "complex(1.0, 0.0)", "complex(1.0, -0.0)", "np.copysign(x, K.imag)", "1.0"),
    of_global("global_nan", "np.nan", "1.0", "x + K", "1.0"),
    of_global("global_nan_sign", "float('nan')", "-float('nan')", "np.signbit(K)"),
    of_global("global_numpy_scalar", "np.float32(0.1)", "0.1", "x + K", "1.0"),
    of_global("global_numpy_boolean", "np.bool_(True)", "np.int8(1)", "K"),
    of_global("global_time", "np.timedelta64(1, 's')", "np.timedelta64(1, 'ms')", "x + K", "np.timedelta64(1, 's')"),
    of_global(
        "global_date", "np.datetime64('2020-01-01')", "np.datetime64('2020-01-02')", "x - K", "np.datetime64('2021-01-01')"
    ),
    # dtypes and classes of scalars
    of_global("global_dtype", "np.dtype('f4')", "np.dtype('f8')", "np.zeros(2, K)"),
    of_global("global_dtype_class", "np.float32", "np.float64", "K(x)", "0.1"),
    of_global("global_dtype_in_astype", "np.int8", "np.uint8", "x.astype(K)", "np.array([200, 3])"),
    of_global(
        "global_dtype_of_records",
        "np.dtype([('a', 'i4'), ('b', 'i4')])",
        "np.dtype([('b', 'i4'), ('a', 'i4')])",
        "np.zeros(1, K)",
    ),
    of_global(
        "global_dtype_alignment",
        "np.dtype([('a', 'i1'), ('b', 'i8')])",
        "np.dtype([('a', 'i1'), ('b', 'i8')], align=True)",
        "np.zeros(2, K).itemsize",
    ),
    # arrays
    of_global("array_content", "np.array([1, 2, 3])", "np.array([1, 2, 4])", "x + K[2]", "10"),
    of_global("array_type", "np.array([1, 2, 3], 'i8')", "np.array([1, 2, 3], 'i4')", "K"),
    of_global("array_shape", "np.arange(6).reshape(2, 3)", "np.arange(6).reshape(3, 2)", "K[1, 0]"),
    of_global("array_order", "np.ones((2, 3), order='C')", "np.ones((2, 3), order='F')", "K.flags.c_contiguous"),
    of_global("array_of_equal_bits", "np.array([1.0])", "np.array([1.0]).view('i8')", "K[0]"),
    of_global("array_minus_zero", "np.array([0.0])", "np.array([-0.0])", "np.copysign(x, K[0])", "1.0"),
    of_global("array_with_nan", "np.array([np.nan, 1.0])", "np.array([np.nan, 2.0])", "K[1]"),
    of_global(
        "array_deep_inside", "np.arange(5000)", "np.where(np.arange(5000) == 2500, -1, np.arange(5000))", "K[2500]"
    ),  # repr elides
    of_global("array_empty", "np.zeros(0)", "np.zeros((0, 0))", "K.ndim"),
    of_global("array_in_a_tuple", "(np.array([1, 2]), 3)", "(np.array([1, 5]), 3)", "K[0][1]"),
    of_global("array_of_records", "np.array([(1, 2.0)], 'i4,f8')", "np.array([(1, 3.0)], 'i4,f8')", "K[0]['f1']"),
    of_global("array_zero_dimensional", "np.array(1)", "np.array(2)", "K[()]"),
    # arrays above a megabyte, and strided ones, are taken by address: another content needs no new code, another type does
    of_global("strided_array_content", "np.arange(10)[::2]", "np.arange(10)[1::2]", "K[1]", miss={}, hit=["f"]),
    of_global("strided_array_strides", "np.arange(10)[::2]", "np.arange(15)[::3]", "K[1]"),
    of_global("big_array_content", "np.full(200_000, 1.5)", "np.full(200_000, 2.5)", "K[x]", "100_000", miss={}, hit=["f"]),
    of_global("big_array_type", "np.full(200_000, 1.0)", "np.full(200_000, 1)", "K[x]", "100_000"),
    of_global("big_array_shape", "np.arange(200_000).reshape(2, -1)", "np.arange(200_000).reshape(4, -1)", "K[1, x]", "5"),
    of_global("big_array_order", "np.ones((400, 500), order='C')", "np.ones((400, 500), order='F')", "K.flags.c_contiguous"),
    of_global("big_array_that_shrinks", "np.full(200_000, 1.0)", "np.full(2, 2.0)", "K[x]", "1"),
    # negative edges and shadows
    Scenario(
        "global_shadows_a_builtin",
        main="""
            @njit
            def f(x):
                return max(x, 2)
            print(f(3))
        """,
        edit=swap("@njit\ndef f", "@njit\ndef max(x, y):\n    return 7\n@njit\ndef f"),
        miss={"f": "global_changed|callee_changed"},
    ),
    Scenario(
        "global_shadows_another_builtin",
        main="""
            @njit
            def f(x):
                return abs(x)
            print(f(-3))
        """,
        edit=swap("@njit\ndef f", "abs = float\n@njit\ndef f"),
        miss={"f": "global_changed|callee_changed"},
    ),
    Scenario(
        "global_bound_to_another_builtin",
        main="""
            pick = min
            @njit
            def f(x, y):
                return pick(x, y)
            print(f(1, 2))
        """,
        edit=swap("pick = min", "pick = max"),
        miss={"f": "global_changed|callee_changed"},
    ),
    Scenario(
        "global_bound_to_another_numpy_function",
        main="""
            pick = np.floor
            @njit
            def f(x):
                return pick(x)
            print(f(1.5))
        """,
        edit=swap("np.floor", "np.ceil"),
        miss={"f": "global_changed|callee_changed"},
    ),
    Scenario(
        "global_printed",
        main="""
            WORD = "one"
            @njit
            def f(x):
                print(WORD, x)
            f(1)
        """,
        edit=swap('"one"', '"two"'),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "global_read_in_an_inner_function",
        main="""
            K = 1
            @njit
            def f(x):
                def inner(y):
                    return y + K
                return inner(x)
            print(f(10))
        """,
        edit=swap("K = 1", "K = 2"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "global_of_a_module_named_like_a_standard_one",
        files={"local/wave.py": "K = 2\n@njit\ndef f(x):\n    return x * K\n"},
        main="""
            import os, sys
            sys.path.insert(0, os.path.join(os.path.dirname(__file__), "local"))
            from wave import f
            print(f(3))
        """,
        edit=swap("K = 2", "K = 3", "local/wave.py"),
    ),
    Scenario(
        "strides_of_an_array",
        main="""
            A = np.lib.stride_tricks.as_strided(np.arange(3.0), (1, 3), (8, 8))
            @njit
            def f(i):
                return A.strides[0] + A[0, i]
            print(f(1))
        """,
        edit=swap("(8, 8)", "(16, 8)"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "global_numba_type",
        main="""
            from numba import types
            T = types.int64
            @njit
            def f(x):
                return T(x)
            print(f(1.75))
        """,
        edit=swap("types.int64\n", "types.float64\n"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "global_ctypes_function",
        main="""
            import ctypes
            fn = ctypes.CDLL(None).cos if hasattr(ctypes.CDLL(None), "cos") else ctypes.CDLL("libm.so.6").cos
            fn.argtypes, fn.restype = [ctypes.c_double], ctypes.c_double
            @njit
            def f(x):
                return fn(x)
            print(f(1.0))
        """,
        edit=several(
            swap(').cos if hasattr(ctypes.CDLL(None), "cos")', ').sin if hasattr(ctypes.CDLL(None), "sin")'),
            swap(".cos\n", ".sin\n"),
        ),
        restored=False,
    ),
    Scenario(
        "global_from_a_data_file",  # a value that depends on more than the source
        files={"data.txt": "1"},
        main="""
            from pathlib import Path
            K = int((Path(__file__).parent / "data.txt").read_text())
            @njit
            def f(x):
                return x + K
            print(f(10))
        """,
        edit=lambda folder: (folder / "data.txt").write_text("2") and None,
        miss={"f": GLOBAL},
    ),
    Scenario(
        "global_of_one_of_two_functions",  # read twice, once in each of two functions; only one is invalidated
        main="""
            K, L = 1, 5
            @njit
            def f(x):
                return x + K
            @njit
            def h(x):
                return x + L
            print(f(10), h(10))
        """,
        edit=swap("K, L = 1, 5", "K, L = 2, 5"),
        miss={"f": GLOBAL},
        hit=["h"],
    ),
]

# ---- modules --------------------------------------------------------------------------------------------------------

MODULES = [
    Scenario(
        "attribute_of_a_module",
        files={"cfg.py": "K = 1\n"},
        main="""
            from . import cfg
            @njit
            def f(x):
                return x + cfg.K
            print(f(10))
        """,
        edit=swap("K = 1", "K = 2", "cfg.py"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "attribute_imported_by_name",
        files={"cfg.py": "K = 1\n"},
        main="""
            from .cfg import K
            @njit
            def f(x):
                return x + K
            print(f(10))
        """,
        edit=swap("K = 1", "K = 2", "cfg.py"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "attribute_of_a_submodule",
        files={"pack/__init__.py": "from . import sub\n", "pack/sub.py": "CONST = 1\n"},
        main="""
            from . import pack
            @njit
            def f(x):
                return x + pack.sub.CONST
            print(f(10))
        """,
        edit=swap("CONST = 1", "CONST = 2", "pack/sub.py"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "attribute_of_a_rebound_submodule",  # the chain passes through another module
        files={"pack/__init__.py": "from . import one as sub\n", "pack/one.py": "CONST = 1\n", "pack/two.py": "CONST = 2\n"},
        main="""
            from . import pack
            @njit
            def f(x):
                return x + pack.sub.CONST
            print(f(10))
        """,
        edit=swap("one as sub", "two as sub", "pack/__init__.py"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "alias_of_another_module",
        files={"one.py": "CONST = 1\n", "two.py": "CONST = 2\n"},
        main="""
            from . import one as m
            @njit
            def f(x):
                return x + m.CONST
            print(f(10))
        """,
        edit=swap("one as m", "two as m"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "attribute_through_a_callee_in_another_module",
        files={"cfg.py": "K = 1\n", "helper.py": "from . import cfg\n@njit\ndef g(x):\n    return x + cfg.K\n"},
        main="""
            from .helper import g
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("K = 1", "K = 2", "cfg.py"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "library_setting_at_run_time",  # lib.K = 2 after the import, before the first call
        files={"lib.py": "K = 1\n@njit\ndef f(x):\n    return x + K\n"},
        main="""
            from . import lib
            lib.K = 5
            print(lib.f(10))
        """,
        edit=swap("lib.K = 5", "lib.K = 6"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "library_settings_module_at_run_time",
        files={
            "settings.py": "FAST = False\n",
            "lib.py": "from . import settings\n@njit\ndef f(x):\n    return 1 if settings.FAST else 2\n",
        },
        main="""
            from . import lib, settings
            print(lib.f(10))
        """,
        edit=swap("print", "settings.FAST = True\nprint"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "library_setting_between_two_signatures",  # each signature freezes what it saw
        files={"lib.py": "K = 1\n@njit\ndef f(x):\n    return x + K\n"},
        main="""
            from . import lib
            print(lib.f(10))
            lib.K = 5
            print(lib.f(10), lib.f(0.5))
        """,
        edit=swap("lib.K = 5", "lib.K = 6"),
        miss={"f": GLOBAL},
        hit=["f"],
    ),
    Scenario(
        "patched_standard_module",
        main="""
            import math
            @njit
            def f(x):
                return x * math.tau
            kept = math.tau
            math.tau = 2 * kept
            print(f(1.0))
            math.tau = kept
        """,
        edit=swap("2 * kept", "3 * kept"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "setting_of_an_installed_library",  # numpy stands for any installed package that keeps a setting in its module
        main="""
            import numpy.version
            numpy.version.full_version_aotnb = 1
            @njit
            def f(x):
                return x + numpy.version.full_version_aotnb
            print(f(10))
        """,
        edit=swap("aotnb = 1", "aotnb = 2"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "numba_config_at_run_time",
        main="""
            from numba import config
            @njit
            def f(a):
                return a[5]
            config.BOUNDSCHECK = None
            try:
                print(f(np.arange(10)[:3]))
            except IndexError:
                print("out of bounds")
            config.BOUNDSCHECK = None
        """,
        edit=swap("config.BOUNDSCHECK = None\ntry", "config.BOUNDSCHECK = 1\ntry"),
        miss={"f": "config_changed"},
    ),
    Scenario(
        "numba_config_after_the_first_call",  # too late to matter: the code is there
        main="""
            from numba import config
            @njit
            def f(a):
                return a[5]
            print(f(np.arange(10)[:3]))
            config.BOUNDSCHECK = None
            print(f(np.arange(10)[:3]))
            config.BOUNDSCHECK = None
        """,
        edit=swap("config.BOUNDSCHECK = None\nprint", "config.BOUNDSCHECK = 1\nprint"),
        hit=["f"],
        changes=False,
    ),
]

# ---- closures -------------------------------------------------------------------------------------------------------


def of_cell(name: str, old: str, new: str, body: str, argument: str = "0", **rest: object) -> Scenario:
    """A function whose *body* reads x and the closure cell k, which is *old* and then *new*."""
    main = f"""
def make(k):
    @njit
    def f(x):
        return {body}
    return f
print(repr(make({old})({argument})))
"""
    return Scenario(name, main=main, edit=swap(f"make({old})", f"make({new})"), **{"miss": {"f": CLOSURE}} | rest)  # type: ignore[arg-type]


CLOSURES = [
    of_cell("cell_integer", "1", "2", "x + k"),
    of_cell("cell_boolean_of_equal_value", "1", "True", "k"),
    of_cell("cell_string", '"a"', '"b"', "k"),
    of_cell("cell_tuple", "(1, 2)", "(1, 3)", "k[1]"),
    of_cell("cell_array", "np.array([1, 2])", "np.array([1, 3])", "k[1]"),
    of_cell("cell_dtype", "np.float32", "np.int64", "np.arange(3).astype(k)"),
    of_cell("cell_big_array", "np.full(200_000, 1.5)", "np.full(200_000, 2.5)", "k[1000]", miss={}, hit=["f"]),
    Scenario(
        "cells_swapped",  # both closures of the factory were recorded: both hit, in either order
        main="""
            def make(k):
                @njit
                def f(x):
                    return x + k
                return f
            one, two = make(1), make(2)
            print(one(10), two(10))
        """,
        edit=swap("make(1), make(2)", "make(2), make(1)"),
        hit=["f"],
    ),
    Scenario(
        "cells_one_of_three_new",
        main="""
            def make(k):
                @njit
                def f(x):
                    return x + k
                return f
            print([make(k)(10) for k in (1, 2, 3)])
        """,
        edit=swap("(1, 2, 3)", "(3, 4, 1)"),
        miss={"f": CLOSURE},
        hit=["f"],
    ),
    Scenario(
        "cells_of_two_dtypes",  # Numba's own cache mixes these two up
        main="""
            def make(dtype):
                @njit
                def f(n):
                    return np.arange(n).astype(dtype)
                return f
            print([repr(make(dtype)(3)) for dtype in (np.float32, np.int64)])
        """,
        edit=swap("(np.float32, np.int64)", "(np.int64, np.float32)"),
        hit=["f"],
    ),
    Scenario(
        "cell_rebound_after_definition",
        main="""
            def make():
                k = 1
                @njit
                def f(x):
                    return x + k
                k = 5
                return f
            print(make()(10))
        """,
        edit=swap("k = 5", "k = 6"),
        miss={"f": CLOSURE},
    ),
    Scenario(
        "cell_of_a_callee",
        main="""
            def make(k):
                @njit
                def g(x):
                    return x + k
                return g
            g = make(1)
            @njit
            def f(x):
                return g(x)
            print(f(10))
        """,
        edit=swap("make(1)", "make(2)"),
        miss={"f": "closure_changed|callee_changed"},
    ),
    Scenario(
        "cell_two_levels_deep",
        main="""
            def make(k):
                def middle():
                    @njit
                    def f(x):
                        return x + k
                    return f
                return middle()
            print(make(1)(10))
        """,
        edit=swap("make(1)", "make(2)"),
        miss={"f": CLOSURE},
    ),
    Scenario(
        "cells_of_two_closures_in_one_caller",
        main="""
            def make(k):
                @njit
                def g(x):
                    return x + k
                return g
            one, two = make(1), make(2)
            @njit
            def f(x):
                return one(x), two(x)
            print(f(10))
        """,
        edit=swap("make(1), make(2)", "make(2), make(1)"),
        miss={"f": "closure_changed|callee_changed"},
    ),
]

# ---- classes --------------------------------------------------------------------------------------------------------

BOOM = """
class Boom(Exception):
    pass
"""

CLASSES = [
    Scenario(
        "enum_value",
        files={"colors.py": "from enum import Enum\nclass Color(Enum):\n    RED = 1\n    BLUE = 2\n"},
        main="""
            from .colors import Color
            @njit
            def f(x):
                return x + Color.RED.value
            print(f(10))
        """,
        edit=swap("RED = 1", "RED = 7", "colors.py"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "enum_alias",
        files={"colors.py": "from enum import Enum\nclass Color(Enum):\n    RED = 1\n    BLUE = 2\n    WARM = 1\n"},
        main="""
            from .colors import Color
            @njit
            def f(x):
                return x + Color.WARM.value
            print(f(10))
        """,
        edit=swap("WARM = 1", "WARM = 2", "colors.py"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "enum_integer_value",
        files={"colors.py": "from enum import IntEnum\nclass Color(IntEnum):\n    RED = 1\n    BLUE = 2\n"},
        main="""
            from .colors import Color
            @njit
            def f(x):
                return x + Color.RED
            print(f(10))
        """,
        edit=swap("RED = 1", "RED = 7", "colors.py"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "enum_values_swapped_of_an_argument",
        files={"colors.py": "from enum import Enum\nclass Color(Enum):\n    RED = 1\n    BLUE = 2\n"},
        main="""
            from .colors import Color
            @njit
            def f(c):
                return c is Color.RED, c.value
            print(f(Color.RED), f(Color.BLUE))
        """,
        edit=several(swap("RED = 1", "RED = 9", "colors.py")),
        miss={"f": "global_changed|not_traced"},
    ),
    Scenario(
        "enum_member_as_a_global",
        main="""
            from enum import Enum
            class Color(Enum):
                RED = 1
                BLUE = 2
            K = Color.RED
            @njit
            def f(x):
                return x + K.value
            print(f(10))
        """,
        edit=swap("K = Color.RED", "K = Color.BLUE"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "enum_returned_is_the_live_one",
        files={"colors.py": "from enum import Enum\nclass Color(Enum):\n    RED = 1\n    BLUE = 2\n"},
        main="""
            from .colors import Color
            @njit
            def f(x):
                return Color.RED if x > 0 else Color.BLUE
            print(f(1) is Color.RED, f(-1) is Color.BLUE)
        """,
        hit=["f"],
        changes=False,
    ),
    Scenario(
        "exception_class_is_the_live_one",
        files={"errors.py": BOOM},
        main="""
            from .errors import Boom
            @njit
            def f(x):
                if x < 0:
                    raise Boom("negative", 3)
                return x
            f(1)
            try:
                f(-1)
            except Boom as error:
                print("caught", error.args, error)
        """,
        edit=swap("    pass", "    def __str__(self):\n        return 'boom'", "errors.py"),
        hit=["f"],
    ),
    Scenario(
        "exception_class_rebound",
        main="""
            Err = ValueError
            @njit
            def f(x):
                if x < 0:
                    raise Err("negative")
                return x
            try:
                f(-1)
            except Exception as error:
                print(type(error))
        """,
        edit=swap("Err = ValueError", "Err = KeyError"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "exception_class_of_the_same_name_from_elsewhere",
        files={"one.py": BOOM, "two.py": BOOM},
        main="""
            from .one import Boom
            @njit
            def f(x):
                if x < 0:
                    raise Boom("negative")
                return x
            try:
                f(-1)
            except Exception as error:
                print(type(error).__module__)
        """,
        edit=swap(".one", ".two"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "exception_class_of_a_callee",
        files={
            "errors.py": BOOM,
            "helper.py": "from .errors import Boom\n@njit\ndef g(x):\n    if x < 0:\n        raise Boom('negative')\n    return x\n",
        },
        main="""
            from .errors import Boom
            from .helper import g
            @njit
            def f(x):
                return g(x)
            try:
                f(-1)
            except Boom as error:
                print("caught", error)
        """,
        hit=["f"],
        changes=False,
    ),
    Scenario(
        "exception_message",
        main="""
            @njit
            def f(x):
                raise ValueError("one")
            f(1)
        """,
        edit=swap('"one"', '"two"'),
        miss={"f": "method_changed"},
    ),
    Scenario(
        "exception_message_from_a_global",
        main="""
            WORD = "one"
            @njit
            def f(x):
                raise ValueError(WORD)
            f(1)
        """,
        edit=swap('"one"', '"two"'),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "exception_with_a_run_time_message",
        main="""
            @njit
            def f(x):
                raise ValueError("got " + str(x), x)
            for x in (1, 2):
                try:
                    f(x)
                except ValueError as error:
                    print(error.args)
        """,
        hit=["f"],
        changes=False,
    ),
    Scenario(
        "exception_caught_inside",
        main="""
            @njit
            def g(x):
                if x < 0:
                    raise ValueError
                return x
            @njit
            def f(x):
                try:
                    return g(x)
                except Exception:
                    return 1
            print(f(-5), f(5))
        """,
        edit=swap("return 1", "return 2"),
        miss={"f": "method_changed"},
    ),
    Scenario(
        "namedtuple_field_added",
        files={"points.py": "from collections import namedtuple\nPoint = namedtuple('Point', 'x y', defaults=[1, 2])\n"},
        main="""
            from .points import Point
            @njit
            def f(x):
                return Point(x, 2)
            print(f(10))
        """,
        edit=swap("'x y', defaults=[1, 2]", "'x y z', defaults=[1, 2, 3]", "points.py"),
        miss={"f": GLOBAL},
        changes=None,
    ),
    Scenario(
        "namedtuple_by_another_name",  # its module knows it by a name that is not its own
        files={"points.py": "from collections import namedtuple\nPair = namedtuple('Point', 'x y')\n"},
        main="""
            from numba import prange
            from .points import Pair
            @njit
            def f(p):
                return Pair(p.y, p.x)
            @njit(parallel=True)
            def g(p, a):
                for i in prange(len(a)):
                    a[i] += p.x * i
                return a
            print(f(Pair(1, 2)), g(Pair(1.0, 2.0), np.ones(3)))
        """,
        edit=swap("'x y'", "'y x'", "points.py"),
        miss={"f": "callee_changed|global_changed|not_traced", "g": "callee_changed|global_changed|not_traced"},
    ),
    Scenario(
        "namedtuple_fields_swapped",
        files={"points.py": "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\n"},
        main="""
            from .points import Point
            @njit
            def f(x):
                p = Point(x, 2)
                return p.x, p.y
            print(f(10))
        """,
        edit=swap("'x y'", "'y x'", "points.py"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "namedtuple_fields_swapped_of_an_argument",
        files={"points.py": "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\n"},
        main="""
            from .points import Point
            @njit
            def f(p):
                return p.x
            print(f(Point(1, 2)))
        """,
        edit=swap("'x y'", "'y x'", "points.py"),
        miss={"f": "not_traced|global_changed"},
    ),
    Scenario(
        "namedtuple_returned_is_the_live_one",
        files={"points.py": "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\n"},
        main="""
            from .points import Point
            @njit
            def f(p):
                return Point(p.y, p.x)
            print(f(Point(1, 2)), type(f(Point(1, 2))) is Point)
        """,
        hit=["f"],
        changes=False,
    ),
    Scenario(
        "namedtuple_as_a_global",
        main="""
            from collections import namedtuple
            Point = namedtuple("Point", "x y")
            P = Point(1, 2)
            @njit
            def f(x):
                return x + P.y
            print(f(10))
        """,
        edit=swap("Point(1, 2)", "Point(1, 3)"),
        miss={"f": GLOBAL},
    ),
]

# ---- when a value is read -------------------------------------------------------------------------------------------

INSTANTS = [
    Scenario(
        "rebound_before_the_first_call",
        main="""
            K = 1
            @njit
            def f(x):
                return x + K
            K = 5
            print(f(10))
        """,
        edit=swap("K = 5", "K = 6"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "rebound_before_the_first_call_only_now",
        main="""
            K = 1
            @njit
            def f(x):
                return x + K
            K = 1
            print(f(10))
        """,
        edit=swap("K = 1\nprint", "K = 6\nprint"),
        miss={"f": GLOBAL},
    ),
    Scenario(
        "rebound_after_the_first_call",  # what the first call saw counts, not what holds when the image is written
        main="""
            K = 1
            @njit
            def f(x):
                return x + K
            print(f(10))
            K = 5
            print(f(10))
        """,
        edit=swap("K = 5", "K = 6"),
        hit=["f"],
        changes=False,
    ),
    Scenario(
        "rebound_callee_before_the_first_call",
        main="""
            @njit
            def g(x):
                return x + 1
            @njit
            def f(x):
                return g(x)
            @njit
            def g(x):
                return x + 5
            print(f(10))
        """,
        edit=swap("x + 5", "x + 6"),
        miss={"f": "callee_changed"},
    ),
    Scenario(
        "incoherent",  # f links the g that saw K = 1: usable as Numba uses it, never saved
        main="""
            K = 1
            @njit
            def g(x):
                return x + K
            @njit
            def f(x):
                return g(x)
            print(g(1))
            K = 2
            print(f(1))
        """,
        edit=swap("K = 2\n", "K = 3\n"),
        dropped={"f": "incoherent"},
        changes=False,
        restored=False,
    ),
    Scenario(
        "incoherent_that_becomes_coherent",  # the same f, but g is now compiled for f, with the new K
        main="""
            K = 1
            @njit
            def g(x):
                return x + K
            @njit
            def f(x):
                return g(x)
            print(g(1))
            K = 2
            print(f(1))
        """,
        edit=swap("print(g(1))\n", ""),
        dropped={"f": "incoherent"},
        restored=False,
    ),
    Scenario(
        "coherent_that_becomes_incoherent",
        main="""
            K = 2
            @njit
            def g(x):
                return x + K
            @njit
            def f(x):
                return g(x)
            print(f(1))
        """,
        edit=several(swap("K = 2\n", "K = 1\n"), swap("print(f", "print(g(1))\nK = 2\nprint(f")),
    ),
    Scenario(
        "incoherent_by_a_callee_rebound",
        main="""
            @njit
            def h(x):
                return x + 1
            @njit
            def g(x):
                return h(x)
            @njit
            def f(x):
                return g(x) + h(x)
            print(g(10))
            @njit
            def h(x):
                return x + 100
            print(f(10))
        """,
        edit=swap("print(g(10))\n", ""),
        dropped={"f": "incoherent"},
        restored=False,
    ),
    Scenario(
        "loops_of_a_vectorize_in_another_order",  # an integer array after the float loop exists gives floats
        main="""
            from numba import vectorize
            @vectorize
            def v(x):
                return x * 2
            print(repr(v(np.arange(3))), repr(v(np.arange(3) / 2)))
        """,
        edit=swap("repr(v(np.arange(3))), repr(v(np.arange(3) / 2))", "repr(v(np.arange(3) / 2)), repr(v(np.arange(3)))"),
        restored=False,
    ),
    Scenario(
        "loops_of_a_vectorize_in_a_jitted_caller",
        main="""
            from numba import vectorize
            @vectorize
            def v(x):
                return x * 2
            @njit
            def f(a):
                return v(a)
            print(repr(v(np.arange(3.0))), repr(f(np.arange(3))))
        """,
        edit=swap("repr(v(np.arange(3.0))), repr(f(np.arange(3)))", "repr(f(np.arange(3))), repr(v(np.arange(3.0)))"),
        restored=False,
    ),
    Scenario(
        "loops_of_a_guvectorize_in_another_order",
        main="""
            from numba import guvectorize
            @guvectorize("(n)->(n)")
            def v(a, out):
                for i in range(a.size):
                    out[i] = a[i] * 2
            def run(a):
                out = np.zeros(3)
                v(a, out)
                return out
            print(run(np.arange(3)), run(np.arange(3) / 2))
        """,
        edit=swap("run(np.arange(3)), run(np.arange(3) / 2)", "run(np.arange(3) / 2), run(np.arange(3))"),
        restored=False,
    ),
]

FACTORY = """
    def make(k):
        @njit
        def g(x):
            return x + k
        return g
    a = make(1)
"""
LIBM = """
    import ctypes, ctypes.util
    def c_function(name):
        function = ctypes.CDLL(ctypes.util.find_library("m"))[name]
        function.argtypes, function.restype = [ctypes.c_double], ctypes.c_double
        return function
    a = c_function("sin")
"""


def _one_object(name: str, main: str, edit: Edit, reason: str, *, saved: bool = True) -> Scenario:
    """Return a scenario in which two names lead to one object, and to two of equal content after the edit."""
    return Scenario(f"one_object_{name}", main=main, edit=edit, miss={"f": reason}, restored=saved)


# code is bound to some objects by identity: one path to them does not tell what another name leads to
ONE_OBJECT = [
    _one_object(
        "by_two_globals",
        FACTORY + "    b = a\n    @njit\n    def f(x):\n        return a(x) * 10 + b(x)\n    print(f(1))\n",
        swap("b = a", "b = make(2)"),
        "callee_changed",
    ),
    _one_object(
        "twice_in_a_tuple",
        FACTORY + "    t = (a, a)\n    @njit\n    def f(x):\n        return t[0](x) * 10 + t[1](x)\n    print(f(1))\n",
        swap("(a, a)", "(a, make(2))"),
        "callee_changed",
    ),
    _one_object(
        "as_an_argument_and_a_global",
        FACTORY + "    @njit\n    def f(p, x):\n        return p(x) * 10 + a(x)\n    print(f(a, 1))\n",
        swap("f(a, 1)", "f(make(2), 1)"),
        "callee_changed",
    ),
    _one_object(
        "a_big_array",
        "    a = np.arange(200_000.0)\n    b = a\n    @njit\n    def f(i):\n        return a[i] * 10 + b[i]\n    print(f(3))\n",
        swap("b = a", "b = -np.arange(200_000.0)"),
        "global_changed",
    ),
    _one_object(
        "the_memory_of_two_big_arrays",
        """
            base = np.arange(300_000.0)
            a, b = base[:200_000], base[:250_000]
            @njit
            def f(i):
                return a[i] * 10 + b[i] + len(a) + len(b)
            print(f(3))
        """,
        swap("base[:250_000]", "-np.arange(250_000.0)"),
        "global_changed",
    ),
    _one_object(
        "the_memory_of_a_circle_of_functions",
        """
            a = np.arange(200_000.0)
            b = a
            @njit
            def f(n):
                return g(n - 1) if n else a[5]
            @njit
            def g(n):
                return f(n - 1) if n else b[3]
            print(f(3), f(2))
        """,
        swap("b = a", "b = -np.arange(200_000.0)"),
        "not_relocatable",
        saved=False,
    ),
    _one_object(
        "a_c_function",
        LIBM + "    b = a\n    @njit\n    def f(x):\n        return a(x) * 10 + b(x)\n    print(f(1.0))\n",
        swap("b = a", "b = c_function('cos')"),
        "global_changed",
    ),
    _one_object(
        "in_two_cells_of_object_mode",
        """
            from numba import jit
            class Box:
                def __init__(self, value):
                    self.value = value
            def make(p, q):
                @jit(forceobj=True)
                def f(x):
                    return x + p.value * 10 + q.value
                return f
            a = Box(1)
            b = a
            print(make(a, b)(1))
        """,
        swap("b = a", "b = Box(2)"),
        "not_relocatable",
    ),
]
FLAGS = """
    @njit
    def g(x):
        return 1 / x
    @njit
    def h(x):
        return g(x)
    @njit(error_model="numpy")
    def f(x):
        return h(x)
    @njit
    def k(x):
        return g(x)
    def show(function):
        try:
            print(function(0.0))
        except ZeroDivisionError as error:
            print("raised", error)
"""

# a function is compiled once, and takes over flags from the caller that needs it first
FLAGS_OF_CALLERS = [
    Scenario("flags_of_the_first_caller", FLAGS + "    for function in (f, g, k):\n        show(function)\n", changes=False),
    Scenario(
        "flags_of_another_first_caller",
        FLAGS + "    for function in (f, h, g, k):\n        show(function)\n",
        edit=swap("(f, h, g, k)", "(k, f, g, h)"),
        miss={"f": "callee_changed", "k": "callee_changed"},
    ),
    Scenario(
        "flags_of_no_caller_first",
        FLAGS + "    for function in (k, f, g, h):\n        show(function)\n",
        edit=swap("(k, f, g, h)", "(f, k, g, h)"),
        miss={"f": "callee_changed", "k": "callee_changed"},
    ),
    Scenario(
        "flags_of_a_parallel_loop",  # it hands down others than the function around it
        """
            from numba import prange
            def make(k):
                @njit
                def g(x):
                    return x + k
                return g
            g = make(1)
            @njit(parallel=True)
            def f(n):
                s = 0
                for i in prange(n):
                    s += g(i)
                return s
            print(f(4))
        """,
        hit=["f"],
        changes=False,
    ),
    Scenario(
        "flags_of_a_caller_that_comes_too_late",
        FLAGS + "    for function in (f,):\n        show(function)\n",
        edit=swap("(f,)", "(g, f)"),
        miss={"f": "callee_changed"},
    ),
]

BATCHES = [
    Batch("globals", GLOBALS),
    Batch("modules", MODULES + CLOSURES),
    Batch("classes", CLASSES),
    Batch("instants", INSTANTS),
    Batch("one_object", ONE_OBJECT),
    Batch("flags_of_callers", FLAGS_OF_CALLERS),
]


def test_answers(scenario: Scenario, runs: Runs) -> None:
    check_answers(scenario, runs)


def test_reasons(scenario: Scenario, runs: Runs) -> None:
    check_reasons(scenario, runs)


def test_restored(scenario: Scenario, runs: Runs) -> None:
    check_restored(scenario, runs)
