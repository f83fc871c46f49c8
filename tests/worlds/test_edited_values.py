"""Data edited in a kernel that goes on: globals, arrays, attributes of modules, closure cells, classes."""

from __future__ import annotations

from editing import Edit, check, play
from shells import Nurseries

K = r"\bK\b"
OTHER = """
L = 5
@njit
def other(x):
    return x - L
"""


def of_global(name: str, old: str, new: str, body: str, argument: str = "10", **rest: object) -> Edit:
    """A function whose *body* reads the global K, which is *old* and then *new*, through a callee too."""
    return Edit(
        f"global_{name}",
        cells=[
            f"K = {old}",
            f"@njit\ndef g(x):\n    return {body}",
            "@njit\ndef f(x):\n    return g(x), 3",
            OTHER,
        ],
        edit=[f"K = {new}"],
        call=f"say(f({argument}), other(10))",
        **{"compiled": ["f", "g"], "cause": K, "kind": "global|binding", "chain": {"f": ["g", "f"]}} | rest,  # type: ignore[arg-type]
    )


MOVED = {"free": ["rerun", "undone", "redone"]}  # another array lies at another address, which is part of the code

GLOBALS = [
    of_global("integer", "1", "2", "x + K"),
    of_global("float", "0.1", "0.2", "x + K"),
    of_global("float_by_one_bit", "0.1", "0.10000000000000002", "x * K", "1e17"),
    of_global("complex", "1j", "2j", "x + K"),
    of_global("string", '"a"', '"b"', "x + K", '"x"'),
    of_global("string_by_its_normal_form", '"é"', '"e\\u0301"', "len(K)"),
    of_global("bytes", 'b"a"', 'b"b"', "K[0]"),
    of_global("boolean", "True", "False", "1 if K else 2"),
    of_global("none", "None", "1", "K is None"),
    of_global("tuple", "(1, 2)", "(1, 3)", "x + K[1]"),
    of_global("tuple_length", "(1, 2)", "(1, 2, 3)", "len(K)"),
    of_global("tuple_nested", '(1, (2, "a"))', '(1, (2, "b"))', "K[1][1]"),
    of_global("shape", "(2, 3)", "(3, 2)", "np.zeros(K).shape"),
    of_global("slice_bound", "2", "3", "x[:K].sum()", "np.arange(9)"),
    of_global("one_is_true", "1", "True", "K"),
    of_global("one_is_one_point_zero", "1", "1.0", "K"),
    of_global("zero_is_false", "0", "False", "K"),
    of_global("tuple_of_equal_values", "(1, 0)", "(True, 0.0)", "K"),
    of_global("minus_zero", "0.0", "-0.0", "np.copysign(x, K)", "1.0"),
    of_global("minus_zero_in_a_tuple", "(0.0, 1)", "(-0.0, 1)", "np.copysign(x, K[0])", "1.0"),
    of_global("not_a_number", "np.nan", "1.0", "x + K", "1.0"),
    of_global("numpy_scalar", "np.float32(0.1)", "0.1", "x + K", "np.float64(1.0)"),
    of_global("dtype", "np.dtype('f4')", "np.dtype('f8')", "np.zeros(2, K)"),
    of_global("dtype_class", "np.float32", "np.float64", "np.zeros(2, K)"),
    of_global("read_in_an_inner_function", "1", "2", "(lambda y: y + K)(x)"),
    of_global("in_a_comprehension", "1", "2", "[i + K for i in range(x)]", "3"),
    of_global("in_a_string", "1", "2", 'f"k={K}"'),
    of_global("bound_to_another_builtin", "min", "max", "K(x, 7)"),
    of_global("bound_to_another_numpy_function", "np.floor", "np.ceil", "K(x)", "1.5"),
    of_global("deleted_and_bound", "1", "2\ndel K\nK = 2", "x + K"),
    # arrays that Numba freezes
    of_global("array", "np.array([1, 2, 3])", "np.array([1, 2, 4])", "x + K[2]"),
    of_global("array_in_place", "np.array([1, 2, 3])", "K\nK[2] = 4", "x + K[2]"),
    of_global("array_in_place_augmented", "np.array([1, 2, 3])", "K\nK += 4", "x + K[2]"),
    of_global("array_in_place_by_a_method", "np.array([3, 1, 2])", "K\nK.sort()", "x + K[0]"),
    of_global("array_in_place_through_a_view", "np.array([3, 1, 2])\nV = K[1:]", "K\nV[0] = 9", "x + K[1]"),
    of_global("array_in_place_by_numpy", "np.array([3, 1, 2])", "K\nnp.copyto(K, 5)", "x + K[1]"),
    of_global("array_in_a_tuple_in_place", "(np.array([3, 1, 2]), 4)", "K\nK[0][1] = 9", "x + K[0][1]"),
    of_global("array_type", "np.array([1, 2, 3], 'i8')", "np.array([1, 2, 3], 'i4')", "K"),
    of_global("array_shape", "np.arange(6).reshape(2, 3)", "np.arange(6).reshape(3, 2)", "K[1, 0]"),
    of_global("array_shape_in_place", "np.arange(6).reshape(2, 3)", "K\nK.shape = (3, 2)", "K[1, 0]"),
    of_global("array_of_equal_bits", "np.array([1.0])", "np.array([1.0]).view('i8')", "K[0]"),
    of_global("array_deep_inside", "np.arange(5000)", "K\nK[2500] = -1", "K[2500]"),
    of_global("array_of_records", "np.array([(1, 2.0)], 'i4,f8')", "K\nK['f1'] = 3", "K[0]['f1']"),
    of_global("array_zero_dimensional", "np.array(1)", "K\nK[()] = 2", "K[()]"),
    # arrays taken by address stay live; another array at the name is another address
    of_global("big_array_in_place", "np.full(200_000, 1.5)", "K\nK[7] = 2.5", "K[7]", compiled=[], cause="", chain={}, **MOVED),
    of_global("big_array", "np.full(200_000, 1.5)", "np.full(200_000, 2.5)", "K[7]", compiled=None, **MOVED),
    of_global("big_array_type", "np.full(200_000, 1.5)", "np.full(200_000, 1)", "K[7]", **MOVED),
    of_global("strided_array_in_place", "np.arange(10)[::2]", "K\nK[1] = 9", "K[1]", compiled=[], cause="", chain={}, **MOVED),
    of_global("strided_array", "np.arange(10)[::2]", "np.arange(10)[1::2]", "K[1]", compiled=None, **MOVED),
]

NAMES = [
    Edit(
        "global_of_one_of_two_functions",
        cells=["K, L = 1, 5", "@njit\ndef f(x):\n    return x + K", "@njit\ndef h(x):\n    return x + L"],
        edit=["K = 2"],
        call="say(f(10), h(10))",
        compiled=["f"],
        cause=K,
    ),
    Edit(
        "global_of_both_signatures",
        cells=["K = 1", "@njit\ndef f(x):\n    return x + K"],
        edit=["K = 2"],
        call="say(f(10), f(1.5))",
        compiled=["f", "f"],
        cause=K,
    ),
    Edit(
        "global_of_one_signature_only",  # the other one keeps its code
        cells=["K = 1", "@njit\ndef f(x, y=None):\n    if y is not None:\n        return x + K\n    return x"],
        edit=["K = 2"],
        call="say(f(10), f(10, 3))",
        compiled=["f"],
        cause=K,
    ),
    Edit(
        "global_of_the_notebook_read_by_a_function_of_exec",
        cells=["space = {'__name__': 'elsewhere', 'K': 1}", "exec('def f(x):\\n    return x + K', space)\nf = njit(space['f'])"],
        edit=["space['K'] = 2"],
        compiled=["f"],
        cause=K,
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "two_globals_at_once",
        cells=["K, L = 1, 5", "@njit\ndef f(x):\n    return x + K + L"],
        edit=["K, L = 2, 6"],
        compiled=["f"],
        cause=r"\b[KL]\b",
    ),
]

# ---- modules --------------------------------------------------------------------------------------------------------

LIB = "write('lib.py', '''\n{}\n''')\nimport importlib, lib\nimportlib.reload(lib)"
LIB_G = LIB.format("from numba import njit\nK = 1\n@njit\ndef g(x):\n    return x + K\n@njit\ndef h(x):\n    return x * 2")
F = "@njit\ndef f(x):\n    return lib.g(x) * 3"

MODULES = [
    Edit(
        "attribute",
        cells=["write('cfg.py', 'K = 1')\nimport cfg\ncfg.K = 1", "@njit\ndef f(x):\n    return x + cfg.K", OTHER],
        edit=["cfg.K = 2"],
        call="say(f(10), other(10))",
        compiled=["f"],
        cause=r"cfg\.K",
    ),
    Edit(
        "attribute_of_another_name",
        cells=["write('cfg.py', 'K = 1')\nimport cfg\ncfg.K = 1", "@njit\ndef f(x):\n    return x + cfg.K"],
        edit=["cfg.M = 2"],
        changes=False,
    ),
    Edit(
        "attribute_set_by_setattr",
        cells=["write('cfg.py', 'K = 1')\nimport cfg\ncfg.K = 1", "@njit\ndef f(x):\n    return x + cfg.K"],
        edit=["setattr(cfg, 'K', 2)"],
        compiled=["f"],
        cause=r"cfg\.K",
    ),
    Edit(
        "attribute_of_a_submodule",
        cells=[
            "write('pack/__init__.py', 'from . import sub')\nwrite('pack/sub.py', 'K = 1')\nimport pack\npack.sub.K = 1",
            "@njit\ndef f(x):\n    return x + pack.sub.K",
        ],
        edit=["pack.sub.K = 2"],
        compiled=["f"],
        cause=K,
    ),
    Edit(
        "submodule_rebound",
        cells=[
            (
                "write('pack2/__init__.py', 'from . import one, two')\nwrite('pack2/one.py', 'K = 1')\nwrite('pack2/two.py', 'K = 2')\n"
                "import pack2\npack2.sub = pack2.one"
            ),
            "@njit\ndef f(x):\n    return x + pack2.sub.K",
        ],
        edit=["pack2.sub = pack2.two"],
        compiled=["f"],
        cause=r"\bsub\b",
    ),
    Edit(
        "module_rebound",
        cells=["write('one.py', 'K = 1')\nwrite('two.py', 'K = 2')\nimport one as m", "@njit\ndef f(x):\n    return x + m.K"],
        edit=["import two as m"],
        compiled=["f"],
        cause=r"\bm\b",
    ),
    Edit(
        "setting_of_a_library",
        cells=[
            (
                "write('settings.py', 'FAST = False')\n"
                "write('quick.py', '''from numba import njit\nimport settings\n@njit\ndef g(x):\n    return 1 if settings.FAST else x\n''')"
            ),
            "import settings, quick\nsettings.FAST = False",
            "@njit\ndef f(x):\n    return quick.g(x) * 3",
            OTHER,
        ],
        edit=["settings.FAST = True"],
        call="say(f(10), other(10))",
        compiled=["f", "g"],
        cause=r"FAST",
        chain={"f": ["g", "f"]},
    ),
    Edit(
        "global_of_a_library",
        cells=[LIB_G, F, OTHER],
        edit=["lib.K = 2"],
        call="say(f(10), lib.h(10), other(10))",
        compiled=["f", "g"],
        cause=r"\bK\b",
        chain={"f": ["g", "f"]},
    ),
    Edit(
        "library_reloaded",
        cells=[LIB_G, F, OTHER],
        edit=[LIB_G.replace("x + K", "x - K")],
        call="say(f(10), lib.h(10), other(10))",
        compiled=["f", "g"],
        cause=r"\bg\b",
    ),
    Edit(
        "library_reloaded_with_another_global",
        cells=[LIB_G, F, OTHER],
        edit=[LIB_G.replace("K = 1", "K = 2")],
        call="say(f(10), lib.h(10), other(10))",
        compiled=["f", "g"],
        cause=r"\bK\b",
    ),
    Edit(
        "library_reloaded_unchanged",
        cells=[LIB_G, F],
        edit=[LIB_G.replace("K = 1", "K = 1  # a comment")],
        changes=False,
    ),
    Edit(
        "library_reloaded_and_a_name_imported_from_it_before",  # holds the old function, which reads the new global
        cells=[LIB_G, "from lib import g", "@njit\ndef f(x):\n    return g(x) * 3"],
        edit=[LIB_G.replace("x + K", "x - K").replace("K = 1", "K = 5")],
        compiled=["f", "g"],
        cause=r"\bK\b",
    ),
    Edit(
        "library_reloaded_and_a_name_imported_from_it_again",
        cells=[LIB_G, "from lib import g", "@njit\ndef f(x):\n    return g(x) * 3"],
        edit=[LIB_G.replace("x + K", "x - K"), "from lib import g"],
        compiled=["f", "g"],
        cause=r"\bg\b",
    ),
    Edit(
        "library_reloaded_automatically",
        cells=[
            "%load_ext autoreload\n%autoreload 2",
            "write('auto.py', 'from numba import njit\\nK = 1\\n@njit\\ndef g(x):\\n    return x + K')\nimport auto",
            "@njit\ndef f(x):\n    return auto.g(x) * 3",
            OTHER,
        ],
        edit=["write('auto.py', 'from numba import njit\\nK = 1\\n@njit\\ndef g(x):\\n    return x - K')"],
        call="say(f(10), other(10))",
        compiled=["f", "g"],
        cause=r"\bg\b",
    ),
    Edit(
        "global_of_a_library_reloaded_automatically",
        cells=[
            "%load_ext autoreload\n%autoreload 2",
            "write('auto2.py', 'from numba import njit\\nK = 1\\n@njit\\ndef g(x):\\n    return x + K')\nimport auto2",
            "@njit\ndef f(x):\n    return auto2.g(x) * 3 + auto2.K",
            OTHER,
        ],
        edit=["write('auto2.py', 'from numba import njit\\nK = 2\\n@njit\\ndef g(x):\\n    return x + K')"],
        call="say(f(10), other(10))",
        compiled=["f", "g"],
        cause=r"\bK\b",
    ),
    Edit(
        "name_imported_from_a_library_reloaded_automatically",
        cells=[
            "%load_ext autoreload\n%autoreload 2",
            "write('auto3.py', 'from numba import njit\\nK = 1\\n@njit\\ndef g(x):\\n    return x + K')\nfrom auto3 import g, K",
            "@njit\ndef f(x):\n    return g(x) * 3 + K",
            OTHER,
        ],
        edit=["write('auto3.py', 'from numba import njit\\nK = 2\\n@njit\\ndef g(x):\\n    return x - K')"],
        call="say(f(10), other(10))",
        compiled=["f", "g"],
        cause=r"\bK\b",
        oracle="fresh",  # autoreload puts new code into plain functions that were imported by name, not into jitted ones
        stages=["first", "again", "edited", "settled"],
    ),
    Edit(
        "constant_of_the_standard_library",
        cells=["import math\nmath.tau = 6.0", "@njit\ndef f(x):\n    return x * math.tau"],
        edit=["math.tau = 7.0"],
        compiled=["f"],
        cause=r"\btau\b",
    ),
    Edit(
        "switch_of_numba",  # read at each compilation; code that is there stays
        cells=["from numba import config\nconfig.BOUNDSCHECK = None", "@njit\ndef f(a):\n    return a[5]"],
        edit=["config.BOUNDSCHECK = 1", "@njit\ndef f(a):\n    return a[5]"],
        call="say(f(np.arange(10)[:3]))",
        oracle="fresh",
        compiled=["f"],
        cause=None,
    ),
]

# ---- closure cells --------------------------------------------------------------------------------------------------

MAKE = """
def make(k):
    @njit
    def g(x):
        return x + k
    def rebind(value):
        nonlocal k
        k = value
    return g, rebind
g, rebind = make({})
"""

CELLS = [
    Edit(
        "cell",
        cells=[MAKE.format("1"), "@njit\ndef f(x):\n    return g(x) * 3", OTHER],
        edit=[MAKE.format("2")],
        call="say(f(10), g(10), other(10))",
        compiled=["f", "g"],
        cause=None,
    ),
    Edit(
        "cell_rebound",
        cells=[MAKE.format("1"), "@njit\ndef f(x):\n    return g(x) * 3", OTHER],
        edit=["rebind(2)"],
        call="say(f(10), g(10), other(10))",
        compiled=["f", "g"],
        cause=r"\bk\b",
        chain={"f": ["g", "f"]},
    ),
    Edit(
        "cell_rebound_to_an_equal_value_of_another_type",
        cells=[MAKE.format("1").replace("x + k", "k"), "@njit\ndef f(x):\n    return g(x)"],
        edit=["rebind(True)"],
        compiled=["f", "g"],
        cause=r"\bk\b",
    ),
    Edit(
        "cell_of_an_array_in_place",
        cells=["A = np.array([1, 2])", MAKE.format("A").replace("x + k", "x + k[1]"), "@njit\ndef f(x):\n    return g(x) * 3"],
        edit=["A[1] = 9"],
        compiled=["f", "g"],
        cause=r"\b[kA]\b",
    ),
    Edit(
        "cells_of_two_closures",  # only the one that was rebound
        cells=[MAKE.format("1") + "h, rebind_h = make(2)"],
        edit=["rebind(5)"],
        call="say(g(10), h(10))",
        compiled=["g"],
        cause=r"\bk\b",
    ),
    Edit(
        "cells_swapped",
        cells=[MAKE.format("1") + "h, _ = make(2)", "@njit\ndef f(x):\n    return g(x), h(x)"],
        edit=["g, h = h, g"],
        call="say(f(10), g(10), h(10))",
        compiled=["f"],
        cause=r"\b[gh]\b",
    ),
    Edit(
        "cell_of_a_big_array",
        cells=[
            "def make(k):\n    @njit\n    def g(i):\n        return k[i]\n    return g",
            "f = make(np.full(200_000, 1.5))",
            "g = make(np.full(200_000, 2.5))",
        ],
        edit=["f, g = g, f"],
        call="say(f(10), g(10))",
        compiled=None,
        cause=None,
        free=["rerun", "undone", "redone"],
    ),
]

# ---- classes --------------------------------------------------------------------------------------------------------

COLOR = "from enum import {0}\nclass Color({0}):\n    RED = {1}\n    BLUE = 2"
BOOM = "class Boom(Exception):\n    pass"
CATCH = """
try:
    say(f(-1))
except Boom as error:
    say("caught", type(error) is Boom, error.args)
except Exception as error:
    say("missed", type(error).__name__)
"""

CLASSES = [
    Edit(
        "enum",
        cells=[COLOR.format("Enum", 1), "@njit\ndef f(x):\n    return x + Color.RED.value"],
        edit=[COLOR.format("Enum", 7)],
        compiled=["f"],
        cause=r"Color",
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "enum_of_integers",
        cells=[COLOR.format("IntEnum", 1), "@njit\ndef f(x):\n    return x + Color.RED"],
        edit=[COLOR.format("IntEnum", 7)],
        compiled=["f"],
        cause=r"Color",
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "enum_returned_is_the_live_one",
        cells=[COLOR.format("Enum", 1), "@njit\ndef f(x):\n    return Color.RED if x > 0 else Color.BLUE"],
        edit=[COLOR.format("Enum", 1)],
        call="say(f(1) is Color.RED, f(-1) is Color.BLUE)",
        compiled=None,
        cause=None,
        changes=False,
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "enum_as_an_argument",
        cells=[COLOR.format("Enum", 1), "@njit\ndef f(c):\n    return c is Color.RED, c.value"],
        edit=[COLOR.format("Enum", 7)],
        call="say(f(Color.RED), f(Color.BLUE))",
        compiled=None,
        cause=None,
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "exception_class",  # the class of now is what a caller catches
        cells=[BOOM, "@njit\ndef f(x):\n    if x < 0:\n        raise Boom('negative', 3)\n    return x"],
        edit=[BOOM + "\n    LEVEL = 2"],
        call=CATCH,
        compiled=None,
        cause=None,
        changes=False,
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "exception_class_of_a_callee",
        cells=[
            BOOM,
            "@njit\ndef g(x):\n    if x < 0:\n        raise Boom('negative', 3)\n    return x",
            "@njit\ndef f(x):\n    return g(x)",
        ],
        edit=[BOOM + "\n    LEVEL = 2"],
        call=CATCH,
        compiled=None,
        cause=None,
        changes=False,
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "exception_class_rebound",
        cells=["Boom = ValueError", "@njit\ndef f(x):\n    if x < 0:\n        raise Boom('negative')\n    return x"],
        edit=["Boom = KeyError"],
        call="try:\n    f(-1)\nexcept Exception as error:\n    say(type(error).__name__)",
        compiled=["f"],
        cause=r"Boom",
    ),
    Edit(
        "exception_message_from_a_global",
        cells=["WORD = 'one'", "@njit\ndef f(x):\n    raise ValueError(WORD)"],
        edit=["WORD = 'two'"],
        call="try:\n    f(-1)\nexcept ValueError as error:\n    say(error.args)",
        compiled=["f"],
        cause=r"WORD",
    ),
    Edit(
        "namedtuple_fields_swapped",
        cells=[
            "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')",
            "@njit\ndef f(x):\n    p = Point(x, 2)\n    return p.x, p.y",
        ],
        edit=["Point = namedtuple('Point', 'y x')"],
        compiled=["f"],
        cause=r"Point",
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "namedtuple_returned_is_the_live_one",
        cells=[
            "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')",
            "@njit\ndef f(p):\n    return Point(p.y, p.x)",
        ],
        edit=["Point = namedtuple('Point', 'x y')"],
        call="say(f(Point(1, 2)), type(f(Point(1, 2))) is Point)",
        compiled=None,
        cause=None,
        changes=False,
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "namedtuple_as_a_global",
        cells=[
            "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\nP = Point(1, 2)",
            "@njit\ndef f(x):\n    return x + P.y",
        ],
        edit=["P = Point(1, 3)"],
        compiled=["f"],
        cause=r"\bP\b",
        free=["rerun", "undone", "redone"],
    ),
]

EDITS = [*GLOBALS, *NAMES, *MODULES, *CELLS, *CLASSES]


def test_edit(edit: Edit, nurseries: Nurseries) -> None:
    check(edit, play(edit, nurseries))
