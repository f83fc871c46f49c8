"""Extensions edited in a kernel that goes on: overload sets, intrinsics, kernels of ufuncs, stencils."""

from __future__ import annotations

from editing import Edit, check, play
from shells import Nurseries

OTHER = """
@njit
def other(x):
    return x - 5
"""
IMPORTS = "from numba import types\nfrom numba.extending import overload, overload_method, overload_attribute, intrinsic"
TARGET = "def target(x):\n    return x + 1"
OVERLOAD = "@overload(target)\ndef ol_target(x):\n    def impl(x):\n        return x + 1\n    return impl"
F = "@njit\ndef f(x):\n    return target(x) * 3"
BOTH = "say(f(10), other(10))"


def overloads(name: str, cells: list[str], edit: list[str], **rest: object) -> Edit:
    """An edit of overloads; Python runs the function itself, so what counts is a fresh kernel with the cells as they stand."""
    return Edit(
        name,
        cells=[IMPORTS, *cells, OTHER],
        edit=edit,
        **{"call": BOTH, "oracle": "fresh", "compiled": ["f"], "cause": "target"} | rest,  # type: ignore[arg-type]
    )


OVERLOADS = [
    overloads(
        "overload_and_function_redefined",  # the usual cell holds both
        [TARGET + "\n" + OVERLOAD, F],
        [(TARGET + "\n" + OVERLOAD).replace("+ 1", "+ 2")],
        oracle="python",
    ),
    overloads(
        "overload_redefined_alone",
        [TARGET, OVERLOAD, F],
        [OVERLOAD.replace("+ 1", "+ 2")],
        notebook=[IMPORTS, TARGET, OVERLOAD.replace("+ 1", "+ 2"), F, OTHER],
    ),
    overloads(
        "overload_added_for_a_function_that_had_none",
        [TARGET, "@njit\ndef f(x):\n    return target(x) * 3"],
        [OVERLOAD],
        call="try:\n    say(f(10), other(10))\nexcept Exception as error:\n    say(type(error).__name__)",
        cause=None,
        compiled=None,
        stages=["first", "edited", "settled"],
    ),
    overloads(
        "overload_added_for_other_types",  # the choice stays, and so does the code
        [TARGET, OVERLOAD, F],
        ["@overload(target)\ndef ol_text(x):\n    if isinstance(x, types.UnicodeType):\n        return lambda x: x + '!'"],
        call="say(f(10), other(10))",
        changes=False,
        compiled=[],
        cause=None,
        stages=["first", "again", "edited", "settled"],
    ),
    overloads(
        "overload_added_for_another_function",
        [TARGET, OVERLOAD, F],
        [TARGET.replace("target", "target2") + "\n" + OVERLOAD.replace("target", "target2")],
        changes=False,
        compiled=[],
        cause="",
    ),
    overloads(
        "overload_whose_implementation_calls_a_helper",
        [
            TARGET,
            "@njit\ndef helper(x):\n    return x + 1",
            "@overload(target)\ndef ol_target(x):\n    def impl(x):\n        return helper(x)\n    return impl",
            F,
        ],
        ["@njit\ndef helper(x):\n    return x + 2"],
        compiled=["f", "helper"],
        cause=r"\bhelper\b",
    ),
    overloads(
        "overload_whose_implementation_reads_a_global",
        [TARGET, "K = 1", "@overload(target)\ndef ol_target(x):\n    def impl(x):\n        return x + K\n    return impl", F],
        ["K = 2"],
        cause=r"\bK\b|target",
    ),
    overloads(
        "overload_that_consults_a_global",  # while typing
        [
            TARGET,
            "FAST = True",
            "@overload(target)\ndef ol_target(x):\n    if FAST:\n        return lambda x: x + 1\n    return lambda x: x + 2",
            F,
        ],
        ["FAST = False"],
        cause=r"\bFAST\b|target",
    ),
    overloads(
        "overload_that_consults_a_table_changed_in_place",
        [
            TARGET,
            "TABLE = {'step': [1]}",
            "@overload(target)\ndef ol_target(x):\n    k = TABLE['step'][0]\n    return lambda x: x + k",
            F,
        ],
        ["TABLE['step'][0] = 2"],
        notebook=[
            IMPORTS,
            TARGET,
            "TABLE = {'step': [2]}",
            "@overload(target)\ndef ol_target(x):\n    k = TABLE['step'][0]\n    return lambda x: x + k",
            F,
            OTHER,
        ],
        cause=r"\bTABLE\b|target",
    ),
    overloads(
        "overload_of_a_method",
        [
            "@overload_method(types.UnicodeType, 'shout_at')\ndef shout_at(s, x):\n    return lambda s, x: s + x + '!'",
            "@njit\ndef f(x):\n    return x.shout_at('you')",
        ],
        ["@overload_method(types.UnicodeType, 'shout_at')\ndef shout_at(s, x):\n    return lambda s, x: s + x + '!!'"],
        call="say(f('hey '), other(10))",
        cause="shout_at",
        notebook=[
            IMPORTS,
            "@overload_method(types.UnicodeType, 'shout_at')\ndef shout_at(s, x):\n    return lambda s, x: s + x + '!!'",
            "@njit\ndef f(x):\n    return x.shout_at('you')",
            OTHER,
        ],
    ),
    overloads(
        "overload_of_an_attribute",
        [
            "@overload_attribute(types.UnicodeType, 'twice')\ndef twice(s):\n    return lambda s: s + s",
            "@njit\ndef f(x):\n    return x.twice",
        ],
        ["@overload_attribute(types.UnicodeType, 'twice')\ndef twice(s):\n    return lambda s: s + s + s"],
        call="say(f('ab'), other(10))",
        cause="twice",
        notebook=[
            IMPORTS,
            "@overload_attribute(types.UnicodeType, 'twice')\ndef twice(s):\n    return lambda s: s + s + s",
            "@njit\ndef f(x):\n    return x.twice",
            OTHER,
        ],
    ),
    overloads(
        "overloads_of_builtins_for_types_of_ones_own",  # every function uses those; no code in use has chosen anew
        [TARGET, OVERLOAD, "@njit\ndef f(x):\n    return target(x) * 3 + abs(x) + len((x, x))"],
        [
            "import operator\nclass MyType(types.Opaque):\n    pass",
            (
                "for function in (operator.add, len, abs):\n    @overload(function)\n    def ol_own(a, *rest):\n"
                "        if isinstance(a, MyType):\n            return lambda a, *rest: 1"
            ),
        ],
        changes=False,
        compiled=[],
        cause="",
    ),
    overloads(
        "overload_of_what_was_tried_in_vain",  # the first overload fails for want of another one
        [
            TARGET + "\ndef inner(x):\n    return x * 100",
            "@overload(target)\ndef ol_first(x):\n    return lambda x: inner(x)",
            "@overload(target)\ndef ol_second(x):\n    return lambda x: x + 1",
            F,
        ],
        ["@overload(inner)\ndef ol_inner(x):\n    return lambda x: x * 100"],
        cause="inner",
        stages=["first", "again", "edited", "settled"],
        notebook=[
            IMPORTS,
            TARGET + "\ndef inner(x):\n    return x * 100",
            "@overload(inner)\ndef ol_inner(x):\n    return lambda x: x * 100",
            "@overload(target)\ndef ol_first(x):\n    return lambda x: inner(x)",
            "@overload(target)\ndef ol_second(x):\n    return lambda x: x + 1",
            F,
            OTHER,
        ],
    ),
    overloads(
        "overload_for_one_target",  # it is asked before Numba's own
        [IMPORTS + "\nimport math", "@njit\ndef f(x):\n    return math.gcd(x, 4)"],
        ["@overload(math.gcd, target='cpu')\ndef ol_gcd(x, y):\n    return lambda x, y: x + y"],
        cause="gcd",
        stages=["first", "again", "edited", "settled"],
        notebook=[
            IMPORTS + "\nimport math",
            "@overload(math.gcd, target='cpu')\ndef ol_gcd(x, y):\n    return lambda x, y: x + y",
            "@njit\ndef f(x):\n    return math.gcd(x, 4)",
            OTHER,
        ],
    ),
    overloads(
        "overload_reached_through_a_callee",
        [TARGET, OVERLOAD, "@njit\ndef g(x):\n    return target(x)", "@njit\ndef f(x):\n    return g(x) * 3"],
        [OVERLOAD.replace("+ 1", "+ 2")],
        notebook=[
            IMPORTS,
            TARGET,
            OVERLOAD.replace("+ 1", "+ 2"),
            "@njit\ndef g(x):\n    return target(x)",
            "@njit\ndef f(x):\n    return g(x) * 3",
            OTHER,
        ],
        compiled=["f", "g"],
        chain={"f": ["g", "f"]},
    ),
    overloads(
        "overload_in_a_module_reloaded",
        [
            (
                "write('ext.py', '''\nfrom numba.extending import overload\ndef target(x):\n    return x + 1\n@overload(target)\n"
                "def ol_target(x):\n    return lambda x: x + 1\n''')\nimport importlib, ext\nimportlib.reload(ext)"
            ),
            "@njit\ndef f(x):\n    return ext.target(x) * 3",
        ],
        [
            (
                "write('ext.py', '''\nfrom numba.extending import overload\ndef target(x):\n    return x + 2\n@overload(target)\n"
                "def ol_target(x):\n    return lambda x: x + 2\n''')\nimport importlib, ext\nimportlib.reload(ext)"
            ),
        ],
        oracle="python",
    ),
]

INTRINSIC = """
@intrinsic
def plus(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.add(args[0], context.get_constant(types.int64, 1))
    return types.int64(types.int64), codegen
"""

INTRINSICS = [
    overloads(
        "intrinsic",
        [INTRINSIC, "@njit\ndef f(x):\n    return plus(x) * 3"],
        [INTRINSIC.replace("int64, 1", "int64, 2")],
        cause="plus",
    ),
    overloads(
        "intrinsic_that_reads_a_global",
        ["N = 1", INTRINSIC.replace("int64, 1", "int64, N"), "@njit\ndef f(x):\n    return plus(x) * 3"],
        ["N = 2"],
        cause=r"\bN\b|plus",
    ),
    overloads(
        "intrinsic_unchanged",
        [INTRINSIC, "@njit\ndef f(x):\n    return plus(x) * 3"],
        [INTRINSIC],
        changes=False,
        compiled=[],
        cause=None,
    ),
]

# ---- ufuncs ---------------------------------------------------------------------------------------------------------

V = "@vectorize\ndef v(x):\n    return x + 1"
GU = "@guvectorize(['void(i8[:], i8[:])'], '(n)->(n)')\ndef v(a, out):\n    for i in range(a.size):\n        out[i] = {}"
CALL_GU = "out = np.zeros(3, np.int64)\nv(np.arange(3), out)\nsay(out, other(10))"

COMPILED_EACH = {"free": ["rerun", "undone", "redone"]}  # a ufunc that is defined anew gets loops of its own

UFUNCS = [
    Edit(
        "vectorize",
        cells=["from numba import vectorize", V, OTHER],
        edit=[V.replace("+ 1", "+ 2")],
        call="say(v(np.arange(3)), other(10))",
        compiled=None,
        cause=None,
        **COMPILED_EACH,
    ),
    Edit(
        "vectorize_that_calls_a_function",
        cells=["from numba import vectorize", "@njit\ndef g(x):\n    return x + 1", V.replace("x + 1", "g(x) * 2"), OTHER],
        edit=["@njit\ndef g(x):\n    return x + 2"],
        call="say(v(np.arange(3)), other(10))",
        compiled=None,
        cause=r"\bg\b",
        **COMPILED_EACH,
    ),
    Edit(
        "vectorize_that_reads_a_global",
        cells=["from numba import vectorize", "K = 1", V.replace("x + 1", "x + K"), OTHER],
        edit=["K = 2"],
        call="say(v(np.arange(3)), other(10))",
        compiled=None,
        cause=r"\bK\b",
        **COMPILED_EACH,
    ),
    Edit(
        "vectorize_with_signatures_that_reads_a_global",  # compiled where it is defined
        cells=["from numba import vectorize", "K = 1", "@vectorize(['i8(i8)', 'f8(f8)'])\ndef v(x):\n    return x + K", OTHER],
        edit=["K = 2"],
        call="say(v(np.arange(3)), v(np.arange(3) / 2), other(10))",
        compiled=None,
        cause=r"\bK\b",
        **COMPILED_EACH,
    ),
    Edit(
        "vectorize_called_by_a_function",
        cells=["from numba import vectorize", V, "@njit\ndef f(a):\n    return v(a)", OTHER],
        edit=[V.replace("+ 1", "+ 2")],
        call="say(f(np.arange(3)), other(10))",
        compiled=None,
        cause=r"\bv\b",
        **COMPILED_EACH,
    ),
    Edit(
        "global_of_a_vectorize_called_by_a_function",
        cells=["from numba import vectorize", "K = 1", V.replace("x + 1", "x + K"), "@njit\ndef f(a):\n    return v(a)", OTHER],
        edit=["K = 2"],
        call="say(f(np.arange(3)), other(10))",
        compiled=None,
        cause=r"\bK\b",
        **COMPILED_EACH,
    ),
    Edit(
        "guvectorize",
        cells=["from numba import guvectorize", GU.format("a[i] + 1"), OTHER],
        edit=[GU.format("a[i] + 2")],
        call=CALL_GU,
        compiled=None,
        cause=None,
        **COMPILED_EACH,
    ),
    Edit(
        "guvectorize_that_reads_a_global",
        cells=["from numba import guvectorize", "K = 1", GU.format("a[i] + K"), OTHER],
        edit=["K = 2"],
        call=CALL_GU,
        compiled=None,
        cause=r"\bK\b",
        **COMPILED_EACH,
    ),
    Edit(
        "guvectorize_that_calls_a_function",
        cells=["from numba import guvectorize", "@njit\ndef g(x):\n    return x + 1", GU.format("g(a[i])"), OTHER],
        edit=["@njit\ndef g(x):\n    return x + 2"],
        call=CALL_GU,
        compiled=None,
        cause=r"\bg\b",
        **COMPILED_EACH,
    ),
    Edit(
        "loops_of_a_vectorize_in_order",  # an int array after a float loop exists gives float, as in a fresh kernel
        cells=["from numba import vectorize", "K = 1", "@vectorize\ndef v(x):\n    return x + K"],
        edit=["K = 2"],
        call="say(v(np.arange(3)), v(np.arange(3) / 2), v(np.arange(3)))",
        oracle="fresh",
        compiled=None,
        cause=r"\bK\b",
        **COMPILED_EACH,
    ),
]

STENCIL = "@stencil\ndef kernel(a):\n    return a[-1] + a[1]"

OTHERS = [
    Edit(
        "stencil",
        cells=["from numba import stencil", STENCIL, "@njit\ndef f(a):\n    return kernel(a)", OTHER],
        edit=[STENCIL.replace("a[1]", "2 * a[1]")],
        call="say(f(np.arange(5)), other(10))",
        oracle="fresh",
        compiled=None,
        cause="kernel",
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "first_class_function_table",
        cells=[
            "from numba import types",
            "K = 1",
            "@njit('i8(i8)')\ndef g(x):\n    return x + K",
            "@njit('i8(i8)')\ndef h(x):\n    return x * 2",
            "@njit\ndef f(x, i):\n    fns = (g, h)\n    return fns[i](x)",
        ],
        edit=["K = 2"],
        call="say(f(10, 0), f(10, 1))",
        compiled=["f", "g"],
        cause=r"\bK\b",
        free=["redone"],  # the address of g is part of f
    ),
    Edit(
        "jitclass_method",
        cells=[
            "from numba.experimental import jitclass",
            "K = 1",
            (
                "@jitclass([('v', numba.int64)])\nclass Box:\n    def __init__(self, v):\n        self.v = v\n    def get(self):\n"
                "        return self.v + K"
            ),
            "@njit\ndef f(x):\n    return Box(x).get()",
        ],
        edit=["K = 2"],
        compiled=None,
        cause=r"\bK\b",
        free=["rerun", "undone", "redone"],
    ),
    Edit(
        "parallel_loop_that_reads_a_global",
        cells=[
            "from numba import prange",
            "K = 1",
            "@njit(parallel=True)\ndef f(a):\n    s = 0\n    for i in prange(a.size):\n        s += a[i] * K\n    return s",
            OTHER,
        ],
        edit=["K = 2"],
        call="say(f(np.arange(10)), other(10))",
        compiled=["f"],
        cause=r"\bK\b",
    ),
    Edit(
        "parallel_loop_edited",
        cells=[
            "from numba import prange",
            "@njit(parallel=True)\ndef g(a):\n    s = 0\n    for i in prange(a.size):\n        s += a[i]\n    return s",
            "@njit\ndef f(a):\n    return g(a) + 1",
            OTHER,
        ],
        edit=[
            "@njit(parallel=True)\ndef g(a):\n    s = 0\n    for i in prange(a.size):\n        s += a[i] * 2\n    return s",
        ],
        call="say(f(np.arange(10)), other(10))",
        compiled=["f", "g"],
        cause=r"\bg\b",
    ),
]

LOWERED = (
    "@lower_builtin(target, types.Integer)\ndef lowered(context, builder, sig, args):\n    return builder.add(args[0], args[0])"
)
LOWERINGS = [
    overloads(
        "lowering_defined_anew",
        [
            "from numba.extending import lower_builtin, type_callable",
            TARGET + "\n@type_callable(target)\ndef typed(context):\n    return lambda x: x",
            LOWERED,
            F,
        ],
        [LOWERED.replace("add(args[0]", "mul(args[0]")],
        notebook=[
            IMPORTS,
            "from numba.extending import lower_builtin, type_callable",
            TARGET + "\n@type_callable(target)\ndef typed(context):\n    return lambda x: x",
            LOWERED.replace("add(args[0]", "mul(args[0]"),
            F,
            OTHER,
        ],
        stages=["first", "again", "edited", "settled"],
    ),
]

PRICE = """
class Price:
    def __init__(self, value):
        self.value = value
class PriceType(types.Type):
    def __init__(self):
        super().__init__("Price")
@typeof_impl.register(Price)
def typeof_price(value, c):
    return PriceType()
@register_model(PriceType)
class PriceModel(models.StructModel):
    def __init__(self, dmm, fe_type):
        models.StructModel.__init__(self, dmm, fe_type, [("value", types.int64)])
make_attribute_wrapper(PriceType, "value", "value")
@unbox(PriceType)
def unbox_price(typ, obj, c):
    held = cgutils.create_struct_proxy(typ)(c.context, c.builder)
    field = c.pyapi.object_getattr_string(obj, "value")
    held.value = c.pyapi.long_as_longlong(field)
    c.pyapi.decref(field)
    return NativeValue(held._getvalue())
@box(PriceType)
def box_price(typ, value, c):
    held = cgutils.create_struct_proxy(typ)(c.context, c.builder, value=value)
    cls = c.pyapi.unserialize(c.pyapi.serialize_object(Price))
    return c.pyapi.call_function_objargs(cls, [c.pyapi.long_from_longlong(held.value)])
"""
EXTENDING = "from numba.core import cgutils\nfrom numba.extending import box, make_attribute_wrapper, models, NativeValue, register_model, typeof_impl, unbox"
TYPES = [
    overloads(
        "type_defined_anew",  # another class: code that makes objects of the first one must not serve it
        [EXTENDING, PRICE, "@njit\ndef f(price):\n    return price"],
        [PRICE],
        call="say(type(f(Price(10))) is Price, f(Price(10)).value, other(10))",
        changes=False,
        cause=None,
        stages=["first", "again", "edited", "settled"],
    ),
]

EDITS = [*OVERLOADS, *TYPES, *LOWERINGS, *INTRINSICS, *UFUNCS, *OTHERS]


def test_edit(edit: Edit, nurseries: Nurseries) -> None:
    check(edit, play(edit, nurseries))
