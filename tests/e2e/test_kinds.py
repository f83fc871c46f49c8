"""Kinds of code: each is recorded, edited, and served in other processes without a compilation where it still holds."""

from __future__ import annotations

from importlib.util import find_spec

from harness import Batch, Runs, Scenario, check_answers, check_reasons, check_restored, swap, write

from aotnb.core.left_out import LEFT_OUT, find

CHANGED = "callee_changed|global_changed|closure_changed|method_changed"


def kind(name: str, main: str, old: str, new: str, functions: tuple[str, ...] = ("f",), reason: str = CHANGED, **rest):
    """Return a scenario: *functions* are served until *old* becomes *new* in the main module, and again when it is undone."""
    return Scenario(name, main=main, edit=swap(old, new), miss=dict.fromkeys(functions, reason), **rest)


STENCILS = [
    kind(
        "stencil_in_a_function",
        """
            from numba import stencil
            @stencil
            def k(a):
                return 0.5 * (a[-1] + a[1])
            @njit
            def f(a):
                return k(a)
            print(f(np.arange(5.0)))
        """,
        "0.5",
        "0.25",
    ),
    kind(
        "stencil_from_python",
        """
            from numba import stencil
            K = 2
            @stencil
            def f(a):
                return a[-1] + K
            K = 7  # the kernel has seen 2
            print(f(np.arange(5.0)), f(np.arange(5)))
        """,
        "K = 2",
        "K = 3",
    ),
    kind(
        "stencil_options",
        """
            from numba import stencil
            @stencil(neighborhood=((-1, 1),), cval=7.0)
            def f(a):
                return a[-1] + a[1]
            print(f(np.arange(5.0)))
        """,
        "cval=7.0",
        "cval=8.0",
    ),
    kind(
        "stencil_calls_a_function",
        """
            from numba import stencil
            @njit
            def g(x):
                return x + 1
            @stencil
            def k(a):
                return g(a[-1]) + a[1]
            @njit(parallel=True)
            def f(a):
                return k(a)
            print(f(np.arange(5.0)), k(np.arange(4.0)))
        """,
        "x + 1",
        "x + 2",
        ("f", "k"),
    ),
    kind(
        "stencil_with_an_output_array",
        """
            from numba import stencil
            @stencil(standard_indexing=("w",))
            def f(a, w):
                return a[0] * w[1]
            out = np.zeros(4)
            f(np.arange(4.0), np.arange(2.0), out=out)
            print(out)
        """,
        "w[1]",
        "w[0]",
    ),
]

C_FUNCTIONS = [
    kind(
        "ctypes_function",
        """
            import ctypes
            lib = ctypes.CDLL(None)
            c = lib.sin
            c.argtypes, c.restype = [ctypes.c_double], ctypes.c_double
            @njit
            def f(x):
                return c(x)
            print(round(f(0.5), 6))
        """,
        "ctypes.c_double], ctypes.c_double",
        "ctypes.c_double], ctypes.c_float",
        changes=None,
    ),
    Scenario(
        "another_c_function_of_the_same_type",  # code holds the address of the live object: nothing has to be compiled
        main="""
            import ctypes
            c = ctypes.CDLL(None).sin
            c.argtypes, c.restype = [ctypes.c_double], ctypes.c_double
            @njit
            def f(x):
                return c(x)
            print(round(f(0.5), 6))
        """,
        edit=swap(".sin", ".cos"),
        hit=["f"],
    ),
]

if find_spec("scipy"):
    C_FUNCTIONS.append(
        kind(
            "c_functions_of_a_cython_module",
            """
                import ctypes
                from numba.extending import get_cython_function_address
                address = get_cython_function_address("scipy.special.cython_special", "gammaln")
                def made(c):
                    @njit
                    def f(x):
                        return c(x) + 1
                    return f
                print(round(made(ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(address))(5.0), 6))
            """,
            "c(x) + 1",
            "c(x) + 2",
        )
    )

C_FUNCTIONS.append(
    Scenario(
        "closures_over_c_functions",  # equal to the compiler but for the address
        main="""
            import ctypes
            lib = ctypes.CDLL(None)
            def made(name):
                c = getattr(lib, name)
                c.argtypes, c.restype = [ctypes.c_double], ctypes.c_double
                @njit
                def f(x):
                    return c(x)
                return f
            print([round(made(name)(0.5), 6) for name in ("sin", "cos", "exp")])
        """,
        edit=swap('("sin", "cos", "exp")', '("cos", "sin")'),
        restored=False,
    )
)

C_FUNCTIONS.append(
    Scenario(
        "address_told_by_an_object",  # asked of the live object: nothing has to be compiled
        main="""
            import ctypes
            from numba import types
            class Wrapped(types.WrapperAddressProtocol):
                def __wrapper_address__(self):
                    return ctypes.cast(ctypes.CDLL(None).sin, ctypes.c_void_p).value
                def signature(self):
                    return types.float64(types.float64)
            c = Wrapped()
            @njit
            def f(x):
                return c(x)
            @njit
            def apply(fn, x):
                return fn(x)
            print(round(f(0.5), 6), round(apply(c, 0.5), 6))
        """,
        edit=swap(".sin", ".cos"),
        hit=["f", "apply"],
    )
)

if find_spec("cffi"):
    C_FUNCTIONS.append(
        kind(
            "cffi_function",
            """
                import cffi
                ffi = cffi.FFI()
                ffi.cdef("double cos(double x); double sin(double x);")
                c = ffi.dlopen(None).cos
                @njit
                def f(x):
                    return c(x) + 1
                print(round(f(0.5), 6))
            """,
            "c(x) + 1",
            "c(x) + 2",
        )
    )

OBJECT_MODE = [
    kind(
        "object_mode",
        """
            from numba import jit
            K = 1
            def helper(x):
                return str(x)
            @jit(forceobj=True)
            def f(x):
                return [helper(x), K]
            print(f(3), f("a"))
            K = 2
            print(f(3))  # code in object mode looks names up while it runs
        """,
        "[helper(x), K]",
        "[helper(x), K, K]",
    ),
    Scenario(
        "names_of_object_mode",
        main="""
            from numba import jit, objmode
            K = 1
            def helper(x):
                return [x, K]
            @jit(forceobj=True)
            def f(x):
                return helper(x)
            @njit
            def g(x):
                with objmode(y="int64"):
                    y = helper(x)[1] + K
                return y
            print(f(3), g(4))
        """,
        edit=swap("K = 1", "K = 2"),
        hit=["f", "g"],
    ),
    Scenario(
        "names_of_a_module_imported_anew",
        files={
            "m.py": """
                from numba import jit, objmode
                K = 1
                @jit(forceobj=True)
                def f(x):
                    return x + K
                @njit
                def g(x):
                    with objmode(y="int64"):
                        y = x + K
                    return y
            """
        },
        main="""
            import importlib, sys
            from . import m as old
            print(old.f(1), old.g(1))
            old.K = 5
            del sys.modules[old.__name__]
            new = importlib.import_module(old.__name__)
            print(new.f(1), new.g(1), old.f(1), old.g(1))
        """,
        hit=["f", "g"],
        changes=False,
    ),
    kind(
        "block_in_object_mode",
        """
            from numba import objmode
            def made(k):
                @njit
                def f(x):
                    y = x * 2
                    with objmode(s="unicode_type", a="float64[:]"):
                        s = str(y) + "!"
                        a = np.array([float(y), k])
                    return s, a[1]
                return f
            print(made(5)(3))
        """,
        '"!"',
        '"?"',
    ),
    kind(
        "type_of_a_block_in_object_mode",
        """
            from numba import objmode, types
            OUT = types.float64
            @njit
            def f(x):
                with objmode(y=OUT):
                    y = x * 2
                return y
            print(f(3))
        """,
        "types.float64",
        "types.int64",
    ),
]

POINT = """
    from numba import types
    from numba.experimental import jitclass
    @jitclass([("x", types.float64), ("y", types.float64)])
    class Point:
        def __init__(self, y):
            self.x = 1.5
            self.y = y
        def add(self, v):
            self.y += v
            return self.total()
        def total(self):
            return self.y + self.x
        @property
        def twice(self):
            return self.x * 2
        @twice.setter
        def twice(self, v):
            self.x = v / 2
        @staticmethod
        def plus(v):
            return v + 1
        def __getitem__(self, i):
            return self.y + i
    p = Point(3)
    print(p.add(2), p.twice, p.x, Point.plus(4), p[0])
    p.twice = 8.0
    p.x += 1
    print(p.x, p.y, isinstance(p, Point))
    @njit
    def f(p, v):
        p.x += v
        return p.twice
    @njit
    def make(n):
        p = Point(n)
        p.x += 1
        return p
    print(f(p, 2.0), make(2).x, f(make(2), 1.0))
"""

OBJECT_MODE.append(
    kind(
        "block_uses_what_is_in_closure_cells",
        """
            from numba import objmode
            def factory(seen):
                def plain(x):
                    return x + 1
                @njit
                def f(x):
                    with objmode(y="int64"):
                        seen[x] = len(seen)
                        y = plain(x) + len(seen)
                    return y
                return f
            seen = {7: 0}
            print(factory(seen)(3), seen)
        """,
        "x + 1",
        "x + 2",
    )
)
OBJECT_MODE.append(
    Scenario(
        "block_is_handed_its_own_objects",
        main="""
            from numba import objmode
            def factory(seen):
                @njit
                def f(x):
                    with objmode():
                        seen.append(x)
                return f
            one, other = [], []
            factory(one)(1)
            factory(other)(2)
            print(one, other)
        """,
        changes=False,
    )
)
OBJECT_MODE.append(
    kind(
        "lifted_loops",
        """
            from numba import jit
            K = 3
            @jit(forceobj=True)
            def f(a, text):
                found, s, n = [text], 0.0, 0
                for i in range(a.shape[0]):
                    s += a[i] * K
                for x in a:
                    found.append(str(x))
                    n += 1
                return s, n, found
            print(f(np.arange(3.0), "x"), f(np.arange(4), "y"))
        """,
        "K = 3",
        "K = 4",
        ("f",),
    )
)

JITCLASSES = [
    kind("jitclass_constructor", POINT, "self.x = 1.5", "self.x = 2.5", ("ctor", "f", "make")),
    kind("jitclass_property", POINT, "self.x * 2", "self.x * 3", ("accessor", "f")),
    kind("jitclass_function", POINT, "p.x += v", "p.x -= v", ("f",), hit=["ctor", "make"]),
    kind(
        "jitclass_global_of_a_method",
        """
            from numba.experimental import jitclass
            K = 1
            @jitclass
            class C:
                x: int
                def __init__(self, x):
                    self.x = x
                def get(self):
                    return self.x + K
            @njit
            def f(c):
                return c.get()
            print(C(1).get(), f(C(2)))
        """,
        "K = 1",
        "K = 2",
        ("f", "method"),
        hit=["ctor"],
    ),
    kind(
        "jitclass_of_its_own_kind",
        """
            from numba import deferred_type, optional, types
            from numba.experimental import jitclass
            node_type = deferred_type()
            @jitclass([("data", types.int64), ("next", optional(node_type))])
            class Node:
                def __init__(self, data, next):
                    self.data = data
                    self.next = next
            node_type.define(Node.class_type.instance_type)
            @jitclass([("inner", Node.class_type.instance_type)])
            class Outer:
                def __init__(self, inner):
                    self.inner = inner
                def total(self):
                    return self.inner.data + 1
            @njit
            def f(n):
                node = Node(0, None)
                for i in range(n):
                    node = Node(i * 2, node)
                return node
            n = f(4)
            print(n.data, n.next.data, Outer(n).total(), Outer(n).inner.data)
        """,
        "i * 2",
        "i * 3",
        hit=["method", "ctor"],
    ),
]

ALIKE = [
    # explicit signatures: the caller asks the second one for nothing, and links the code that the first one had
    kind(
        "second_function_of_equal_content",
        """
            def g(x):
                return x + 1
            first, second = (njit("int64(int64)")(g) for _ in range(2))
            @njit("int64(int64)")
            def f(x):
                return second(x) * 2
            print(first(1), f(3))
        """,
        "x + 1",
        "x + 2",
    ),
    Scenario(
        "closures_over_jitclasses_of_one_definition",
        main="""
            from numba.experimental import jitclass
            def made():
                @jitclass
                class C:
                    x: int
                    def __init__(self, x):
                        self.x = x
                return C
            A, B = made(), made()
            def over(cls):
                @njit
                def f(n):
                    return cls(n)
                return f
            @njit
            def same(c):
                return c
            a, b = A(1), B(2)
            print(type(over(A)(1)) is type(a), type(over(B)(1)) is type(b), type(same(a)) is type(a), type(same(b)) is type(b))
        """,
        edit=swap("self.x = x", "self.x = x + 1"),
        changes=False,
        restored=False,
    ),
    Scenario(
        "jitclasses_of_one_definition",  # a later process could not tell which is which
        main="""
            from numba.experimental import jitclass
            def made():
                @jitclass
                class C:
                    x: int
                    def __init__(self, x):
                        self.x = x
                return C
            A, B = made(), made()
            @njit
            def f(n):
                return A(n), B(n)
            print(type(f(1)[0]) is type(f(1)[1]), type(f(1)[1]) is type(B(2)))
        """,
        edit=swap("self.x = x", "self.x = x + 1"),
        changes=False,
        dropped={},
        miss={"f": "not_relocatable|not_traced"},
        restored=False,
    ),
]

GENERATORS = [
    kind(
        "generator",
        """
            @njit
            def g(a, n):
                for i in range(n):
                    yield a[i] * 2
            @njit
            def f(a):
                s = 0
                for x in g(a, 3):
                    s += x
                return s
            made = g(np.arange(5), 4)
            print(next(made), list(made), f(np.arange(5)))
        """,
        "* 2",
        "* 3",
        ("f", "g"),
    ),
    kind(
        "generator_called_by_a_new_function",
        """
            @njit
            def g(n):
                for i in range(n):
                    yield i
            print(list(g(3)))
            @njit
            def f(n):
                s = 1
                for i in g(n):
                    s += i
                return s
            print(f(4))
        """,
        "s = 1",
        "s = 2",
        hit=["g"],
    ),
    kind(
        "generator_in_object_mode",
        """
            from numba import jit
            @jit(forceobj=True)
            def f(n):
                yield n * 2
                yield str(n)
            print(list(f(3)))
        """,
        "* 2",
        "* 3",
    ),
    kind(
        "generator_handed_on",
        """
            def factory(n):
                @njit
                def g():
                    yield n
                @njit
                def h():
                    return g()
                @njit
                def f():
                    s = 0
                    for x in h():
                        s += x
                    return s
                return f, h
            f, h = factory(7)
            print(f(), list(h()))
        """,
        "s += x",
        "s -= x",
    ),
]

CALLBACKS = [
    kind(
        "callback",
        """
            from numba import cfunc
            K = 2
            @njit
            def g(x):
                return x * K
            @cfunc("float64(float64)")
            def c(x):
                return g(x) + 1
            print(c.ctypes(3.0))
        """,
        "K = 2",
        "K = 3",
        ("c",),
        hit=[],
    ),
    # the passes of the pipeline run in any case
    Scenario(
        "callback_with_a_pipeline",
        main="""
            from numba import cfunc
            from numba.core.compiler import Compiler
            seen = []
            class Pipeline(Compiler):
                def compile_extra(self, func):
                    seen.append(func.__name__)
                    return super().compile_extra(func)
            @cfunc("int64(int64)", pipeline_class=Pipeline)
            def f(x):
                return x + 1
            print(f(3), seen)
        """,
        dropped={"f": "not_relocatable"},
        miss={"f": "not_relocatable|not_traced"},
        changes=False,
        restored=False,
    ),
    kind(
        "callback_in_a_function",
        """
            from numba import cfunc
            @cfunc("float64(float64)")
            def c(x):
                return x * 2
            @njit
            def f(x):
                return c(x) + 1
            @njit
            def apply(fn, x):
                return fn(x)
            print(f(2.0), apply(c, 3.0), c.ctypes(1.0))
        """,
        "x * 2",
        "x * 3",
        ("c", "f"),
        hit=["apply"],
    ),
]

STRUCTS = [
    kind(
        "global_array_of_records",
        """
            TABLE = np.rec.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")])
            @njit
            def f(i):
                return TABLE[i].a * TABLE[i].b
            @njit
            def g(x):
                return x + 1
            print(f(1), g(1))
        """,
        "4.0",
        "5.0",
        hit=["g"],
    ),
    kind(
        "typed_sets_polynomials_and_slices",
        """
            from numba import int64, literally
            from numba.typed import Set
            K = 2
            @njit
            def f(found):
                found.add(K)
                return found
            @njit
            def total(found):
                s = 0
                for item in found:
                    s += item
                return s
            @njit
            def double(coefficients):
                return np.polynomial.Polynomial(coefficients * 2.0)
            @njit
            def part(s):
                return literally(s)
            found = Set.empty(int64)
            found.add(5)
            print(sorted(f(found)), total(found), list(double(np.array([1.0, 2.0])).coef))
            print(part(slice(None, None, 2)), part(slice(1, 3)))
        """,
        "K = 2",
        "K = 3",
        ("f",),
        hit=["total", "double", "part"],
    ),
    kind(
        "struct_with_a_proxy",
        """
            from numba import types
            from numba.experimental import structref
            from numba.extending import overload_method
            @structref.register
            class PointType(types.StructRef):
                def preprocess_fields(self, fields):
                    return tuple((name, types.unliteral(typ)) for name, typ in fields)
            class Point(structref.StructRefProxy):
                def __new__(cls, x, y):
                    return structref.StructRefProxy.__new__(cls, x, y)
                @property
                def x(self):
                    return get_x(self)
            @njit
            def get_x(self):
                return self.x
            structref.define_proxy(Point, PointType, ["x", "y"])
            @overload_method(PointType, "total")
            def ol_total(self):
                def impl(self):
                    return self.x + self.y
                return impl
            @njit
            def make(x):
                return Point(x, x + 1)
            @njit
            def f(p):
                p.x = p.x + 1
                return p.total()
            p = Point(3.0, 4.0)
            print(p.x, f(p), make(1.0).x, f(make(2.0)))
        """,
        "self.x + self.y",
        "self.x - self.y",
        ("f",),
        "overload_changed",
        hit=["make", "get_x"],
    ),
    kind(
        "fields_of_a_struct",
        """
            from numba import types
            from numba.experimental import structref
            @structref.register
            class PairType(types.StructRef):
                pass
            PAIR = PairType([("n", types.int64), ("x", types.float64)])
            @njit
            def f(n):
                pair = structref.new(PAIR)
                pair.n = n
                pair.x = n / 2
                return pair.n + pair.x
            print(f(3))
        """,
        '("x", types.float64)',
        '("x", types.int64)',
    ),
]

# a type of one's own, as the manual has it: typing, data model, lowering, (un)boxing
INTERVAL = """
    from numba.core import cgutils, types
    from numba.extending import (
        NativeValue, box, lower_builtin, make_attribute_wrapper, models, overload_method, register_model, type_callable, typeof_impl,
        unbox,
    )
    class Interval:
        def __init__(self, lo, hi):
            self.lo, self.hi = lo, hi
    class IntervalType(types.Type):
        def __init__(self, dtype):
            self.dtype = dtype
            super().__init__(f"Interval[{dtype}]")
        def narrowed(self):
            return types.float64
    @typeof_impl.register(Interval)
    def typeof_interval(value, c):
        return IntervalType(types.float64)
    @type_callable(Interval)
    def type_interval(context):
        return lambda lo, hi: IntervalType(types.float64)
    @register_model(IntervalType)
    class IntervalModel(models.StructModel):
        def __init__(self, dmm, fe_type):
            models.StructModel.__init__(self, dmm, fe_type, [("lo", fe_type.dtype), ("hi", fe_type.narrowed())])
    make_attribute_wrapper(IntervalType, "lo", "lo")
    make_attribute_wrapper(IntervalType, "hi", "hi")
    @lower_builtin(Interval, types.Float, types.Float)
    def make_interval(context, builder, sig, args):
        made = cgutils.create_struct_proxy(sig.return_type)(context, builder)
        made.lo, made.hi = args
        return made._getvalue()
    @overload_method(IntervalType, "width")
    def width_of(interval):
        return lambda interval: interval.hi - interval.lo
    @unbox(IntervalType)
    def unbox_interval(typ, obj, c):
        made = cgutils.create_struct_proxy(typ)(c.context, c.builder)
        for name in ("lo", "hi"):
            field = c.pyapi.object_getattr_string(obj, name)
            setattr(made, name, c.pyapi.float_as_double(field))
            c.pyapi.decref(field)
        return NativeValue(made._getvalue(), is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))
    @box(IntervalType)
    def box_interval(typ, value, c):
        held = cgutils.create_struct_proxy(typ)(c.context, c.builder, value=value)
        fields = [c.pyapi.float_from_double(held.lo), c.pyapi.float_from_double(held.hi)]
        cls = c.pyapi.unserialize(c.pyapi.serialize_object(Interval))
        made = c.pyapi.call_function_objargs(cls, fields)
        for item in (cls, *fields):
            c.pyapi.decref(item)
        return made
    @njit
    def moved(interval, by):
        return Interval(interval.lo + by, interval.lo + interval.width() + by)
    @njit
    def plain(x):
        return -x
    answer = moved(Interval(1.0, 2.0), 3.0)
    print(answer.lo, answer.hi, plain(3))
"""

# classes of types that a function defines, as a factory does: the live type of an argument tells which one is meant
LOCAL_TYPES = """
    from numba.core import types
    from numba.extending import NativeValue, box, models, overload_method, register_model, typeof_impl, unbox
    def factory(offset):
        class Plain:
            pass
        class PlainType(types.Opaque):
            pass
        typ = PlainType("plain")
        @typeof_impl.register(Plain)
        def typeof_plain(value, c):
            return typ
        register_model(PlainType)(models.OpaqueModel)
        @unbox(PlainType)
        def unbox_plain(typ, obj, c):
            return NativeValue(c.context.get_dummy_value())
        @box(PlainType)
        def box_plain(typ, value, c):
            return c.pyapi.long_from_ssize_t(c.context.get_constant(types.intp, offset))
        @overload_method(PlainType, "moved")
        def ol_moved(self, x):
            return lambda self, x: x + offset
        return Plain
    One, Two = factory(1), factory(2)
    @njit
    def f(x):
        return x
    @njit
    def g(x):
        return x
    @njit
    def called(x):
        return x.moved(10)
    @njit
    def plain(x):
        return x + 1
    print(f(One()), g(Two()), called(Two()), plain(1))
"""

FIRST_CLASS = [
    kind(
        "function_chosen_by_a_branch",
        """
            @njit
            def a():
                return 2
            @njit
            def b():
                return 3
            @njit
            def f(flag):
                g = a if flag else b
                return g()
            print(f(True), f(False))
        """,
        "return 3",
        "return 4",
    ),
]

# functions inside others that are handed on, of which the compiler makes functions of their own
INNER = [
    kind(
        "inner_function_handed_on",
        """
            from numba.typed import List
            K = 2
            @njit
            def h(y):
                return y * y
            @njit
            def apply(fn, x):
                return fn(x)
            @njit
            def f(x):
                def inner(y):
                    return h(y) + K
                return apply(inner, x)
            @njit
            def other(x):
                return apply(lambda y: y + 1, x)
            @njit
            def descending(items):
                items.sort(key=lambda item: -item)
                return items
            print(f(3), other(3), list(descending(List([1, 3, 2]))))
        """,
        "K = 2",
        "K = 3",
        ("f",),
        hit=["other", "descending"],
    ),
    kind(
        "what_an_inner_function_calls",
        """
            @njit
            def h(y):
                return y * y
            @njit
            def apply(fn, x):
                return fn(x)
            @njit
            def through(fn, x):
                return apply(fn, x) + 1
            @njit
            def f(x):
                return through(lambda y: h(y) + 1, x)
            @njit
            def other(x):
                return through(lambda y: y + 1, x)
            print(f(3), other(3))
        """,
        "y * y",
        "y * y * y",
        ("f",),
        hit=["other"],
    ),
    kind(
        "inner_function_of_a_namespace_without_a_module",
        """
            TEXT = '''
            @njit
            def apply(fn, x):
                return fn(x)
            @njit
            def nowhere(x):
                return apply(lambda y: y + K, x)
            '''
            def made(k):
                space = {"njit": njit, "K": k}
                exec("\\n".join(line.strip(" ") if "return" not in line else " " + line.strip(" ") for line in TEXT.splitlines()), space)
                return space["nowhere"]
            print([made(k)(3) for k in (2, 3)])
        """,
        "(2, 3)",
        "(3, 4)",
        ("nowhere",),
    ),
    kind(
        "line_of_an_exception_in_an_inner_function",
        """
            import traceback
            # a line to insert above
            @njit
            def apply(fn, x):
                return fn(x)
            @njit
            def f(x):
                def inner(y):
                    if y > 2:
                        raise ValueError("too much")
                    return y
                return apply(inner, x)
            try:
                f(3)
            except ValueError as error:
                print([(part.name, part.lineno) for part in traceback.extract_tb(error.__traceback__)])
        """,
        "# a line to insert above",
        "# one\n# two",
        (),
        hit=["f"],
    ),
]

OWN_TYPES = [
    kind(
        "type_lowered",
        INTERVAL,
        "made.lo, made.hi = args",
        "made.hi, made.lo = args",
        ("moved",),
        "overload_changed",
        hit=["plain"],
    ),
    kind(
        "type_of_a_local_class",
        LOCAL_TYPES,
        "factory(2)",
        "factory(3)",
        ("g", "called"),
        "not_traced|overload_changed|callee_changed",
        hit=["plain", "f"],
    ),
    kind("type_boxed", INTERVAL, "(cls, fields)", "(cls, fields[::-1])", ("moved",), "overload_changed", hit=["plain"]),
]

# an image is mapped before what it calls is there: a library that a package makes public, or that it tells LLVM of
FOREIGN_FUNCTIONS = [
    kind(
        "function_of_a_library_that_is_loaded_later",
        """
            import ctypes, os
            import llvmlite.binding
            from numba import types
            @njit
            def before(x):
                return x - 1
            print(before(3))
            library = os.path.join(os.path.dirname(llvmlite.binding.__file__), "libllvmlite.so")
            ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
            version = types.ExternalFunction("LLVMPY_GetVersionInfo", types.uint32())
            @njit
            def f(x):
                return x + 2 if version() else x
            print(f(3))
        """,
        "x + 2",
        "x + 3",
        hit=["before"],
    ),
    kind(
        "function_that_llvm_is_told_of_later",
        """
            import ctypes
            import llvmlite.binding
            from numba import types
            @njit
            def before(x):
                return x - 1
            print(before(3))
            tell = lambda name: llvmlite.binding.add_symbol(name, ctypes.cast(ctypes.CDLL(None).labs, ctypes.c_void_p).value)
            tell("aotnb_test_labs")
            magnitude = types.ExternalFunction("aotnb_test_labs", types.int64(types.int64))
            @njit
            def f(x):
                return magnitude(-x)
            print(f(3))
        """,
        "magnitude(-x)",
        "magnitude(-x) + 1",
        hit=["before"],
    ),
]

# functions that are objects of a class, such as SciPy's multimethods: the compiler knows them by their overloads alone
OBJECTS_WITH_OVERLOADS = [
    kind(
        "object_with_overloads",
        """
            from numba.extending import overload
            class Method:
                def __init__(self, func):
                    self.__name__ = self.__qualname__ = func.__name__
                def __call__(self, *args):
                    raise NotImplementedError
            @Method
            def scaled(x):
                pass
            @overload(scaled)
            def _scaled(x):
                return lambda x: x * 2
            @njit
            def f(x):
                return scaled(x)
            print(f(3))
        """,
        "x * 2",
        "x * 3",
        ("f",),
        "overload_changed",
    ),
]

# a factory makes functions that are but keys of overloads; what else they hold differs from process to process
OBJECTS_WITH_OVERLOADS += [
    kind(
        "keys_of_overloads_from_a_factory",
        """
            import os
            from numba.extending import overload
            def make(k):
                node = os.getpid()
                def operation(x):
                    return node + x * k
                @overload(operation)
                def implement(x):
                    return lambda x: x * k
                @njit
                def f(x):
                    return operation(x)
                return f
            print([make(k)(3) for k in (2, 5, 7)])
        """,
        "x: x * k",
        "x: x - k",
        reason="overload_changed|callee_changed|closure_changed",
    ),
]

OBJECTS_WITH_OVERLOADS += [
    kind(
        "equal_keys_of_overloads",
        """
            from numba.extending import overload
            def make(k):
                @njit
                def core(x):
                    return x * k
                def operation(x):
                    pass
                @overload(operation)
                def implement(x):
                    return lambda x: core(x)
                @njit
                def f(x):
                    return operation(x)
                return f
            print([make(k)(3) for k in (2, 2, 3)])
        """,
        "x * k",
        "x - k",
        reason="overload_changed|callee_changed|closure_changed",
    ),
]

FOREIGN_FUNCTIONS += [
    kind(
        "random_generator_of_numpy",  # its functions are declared for their type, and called by an address in the generator
        """
            @njit
            def f(rng):
                return rng.normal(), rng.integers(0, 10**12), rng.random()
            print(f(np.random.default_rng(1)), f(np.random.Generator(np.random.PCG64(7))))
        """,
        "10**12",
        "10**9",
    ),
]

FOREIGN_FUNCTIONS += [
    kind(
        "number_of_threads",  # which no C function tells before the threads are started
        """
            import numba
            @njit
            def f(x):
                return numba.get_num_threads() * x
            print(f(0))
        """,
        "* x",
        "- x + x - numba.get_num_threads() + 1",
    ),
]

OBJECTS_WITH_OVERLOADS += [
    kind(
        "overloads_without_a_name",
        """
            from numba import types
            from numba.extending import overload, overload_attribute, overload_method
            def g(x):
                pass
            @overload(g)
            def _(x):
                return lambda x: x + 1
            @overload_method(types.Array, "doubled")
            def _(a):
                return lambda a: a * 2
            @overload_attribute(types.Array, "third")
            def _(a):
                return lambda a: a.sum() / 3
            @njit
            def f(a):
                return g(3), a.doubled()[1], a.third
            print(f(np.arange(3.0)))
        """,
        "a * 2",
        "a * 4",
        reason="overload_changed|callee_changed|closure_changed",
    ),
]

FOREIGN_FUNCTIONS += [
    kind(
        "parallel_with_options",  # Numba empties the dictionary as it compiles
        """
            from numba import prange
            @njit(parallel={"prange": True, "fusion": False})
            def f(a):
                for i in prange(a.shape[0]):
                    a[i] *= 2
                return a.sum()
            print(f(np.ones(3)))
        """,
        '"fusion": False',
        '"fusion": True',
        changes=False,
    ),
]

OBJECTS_WITH_OVERLOADS += [
    kind(
        "messages_that_name_the_type",  # Numba's code for hash(...) of both is the same but for the message
        """
            from numba import typed, types
            from numba.extending import overload
            def g(x):
                pass
            @overload(g)
            def refuse(x):
                message = f"nothing for {x}"
                def implementation(x):
                    raise ValueError(message)
                return implementation
            @njit
            def f(x):
                return hash(x), 1
            @njit
            def h(x):
                return g(x)
            for value in typed.Dict.empty(types.int64, types.int64), typed.List.empty_list(types.int64):
                for call in f, h:
                    try:
                        call(value)
                    except Exception as error:
                        print(error)
        """,
        "(x), 1",
        "(x), 2",
        changes=False,
    ),
]

# by the kind of code in the list of what is left out
LEFT = {
    "nameless_callee": """
        @njit
        def make():
            def inner(y):
                return y + 1
            return inner
        @njit
        def f(x):
            return make()(x)
        print(f(3))
    """,
}

LEFT["other_object"] = """
    from numba import types
    from numba.extending import intrinsic
    def shout(**words):
        print("called with", words)
    def make(told):
        @intrinsic
        def tell(typingctx):
            def codegen(context, builder, sig, args):
                api = context.get_python_api(builder)
                gil = api.gil_ensure()
                number = api.long_from_longlong(context.get_constant(types.intp, 5))
                words = api.dict_pack({"key": number}.items())
                func = api.unserialize(api.serialize_object(told))
                result = api.call(func, None, words)
                for item in (result, func, words, number):
                    api.decref(item)
                api.gil_release(gil)
                return context.get_dummy_value()
            return types.none(), codegen
        return tell
    tell = make(lambda **words: shout(**words))
    @njit
    def f():
        tell()
    f()
"""
LEFT["address"] = """
    import ctypes, ctypes.util
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    @intrinsic
    def cosine(typingctx, x):
        def codegen(context, builder, signature, args):
            number = ctypes.cast(libm.cos, ctypes.c_void_p).value
            typ = ir.FunctionType(ir.DoubleType(), [ir.DoubleType()])
            return builder.call(builder.inttoptr(ir.Constant(ir.IntType(64), number), typ.as_pointer()), args)
        return types.float64(types.float64), codegen
    @intrinsic
    def address(typingctx):
        def codegen(context, builder, signature, args):
            return context.get_constant(types.intp, ctypes.cast(libm.cos, ctypes.c_void_p).value)
        return types.intp(), codegen
    @njit
    def f(x):
        return cosine(x)
    @njit
    def g():
        return address()
    print(f(0.5), ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(g())(0.5))
"""

# registered between two processes, after the code was saved
REGISTERED = [
    Scenario(
        "attribute_registered_anew",
        files={"ext.py": ""},
        main="""
            from . import ext
            @njit
            def f(x):
                return x.real
            print(f(2 + 1j))
        """,
        edit=write(
            "ext.py",
            """
                from numba import types
                from numba.extending import lower_getattr
                @lower_getattr(types.complex128, "real")
                def real(context, builder, typ, value):
                    return context.get_constant(types.float64, 7.0)
            """,
        ),
        miss={"f": "overload_changed"},
    ),
    Scenario(
        "field_of_a_struct_registered_anew",
        files={"ext.py": ""},
        main="""
            from numba import types
            from numba.experimental import structref
            @structref.register
            class OneType(types.StructRef):
                pass
            ONE = OneType([("n", types.int64)])
            from . import ext
            @njit
            def f(n):
                one = structref.new(ONE)
                one.n = n
                return one.n
            print(f(3))
        """,
        edit=write(
            "ext.py",
            """
                from numba import types
                from numba.extending import lower_getattr
                from .main import OneType
                @lower_getattr(OneType, "n")
                def n(context, builder, typ, value):
                    return context.get_constant(types.int64, 7)
            """,
        ),
        miss={"f": "overload_changed"},
    ),
]

LEFT_OUT_SO_FAR = [Scenario(name, main=main, changes=False, restored=False) for name, main in LEFT.items()]
# so that there is an image, which says what it lacks
LEFT_OUT_SO_FAR.append(Scenario("saved", "@njit\ndef f(x):\n    return x + 1\nprint(f(1))\n", hit=["f"], changes=False))

OTHER_TYPES = """
    @njit
    def f(x):
        if x > 3:
            return x
        return f(x + 1.5)
    print(f(1))
"""

# what the compiler gave up keeps nothing alive: neither the function nor, in the frames of the error, its arguments
GIVEN_UP = """
    import gc, weakref
    from numba import errors
    def attempt():
        a = np.arange(3)
        @njit
        def f(x):
            return x.nothing
        try:
            f(a)
        except errors.TypingError:
            return weakref.ref(a)
    found = attempt()
    gc.collect()
    print(found() is None)
"""

BATCHES = [
    Batch("stencils", STENCILS),
    Batch("c_functions", [*C_FUNCTIONS, *FOREIGN_FUNCTIONS]),
    Batch("object_mode", OBJECT_MODE),
    Batch("jitclasses", JITCLASSES),
    Batch("alike", [*ALIKE, Scenario("recursion_with_other_types", main=OTHER_TYPES, changes=False)]),
    Batch("generators", [*GENERATORS, Scenario("given_up", main=GIVEN_UP, changes=False, restored=False)]),
    Batch("callbacks", CALLBACKS),
    Batch("structs", STRUCTS),
    Batch("own_types", [*OWN_TYPES, *OBJECTS_WITH_OVERLOADS, *FIRST_CLASS]),
    Batch("inner", INNER),
    Batch("left_out", LEFT_OUT_SO_FAR),
    Batch("registered", REGISTERED[:1]),
    Batch("registered_for_a_struct", REGISTERED[1:]),
]


def test_answers(scenario: Scenario, runs: Runs) -> None:
    check_answers(scenario, runs)


def test_reasons(scenario: Scenario, runs: Runs) -> None:
    check_reasons(scenario, runs)


def test_what_is_left_out_is_in_the_list(scenario: Scenario, runs: Runs) -> None:
    if scenario.name in LEFT:
        rows = runs.recorded.rows("compiled", scenario, "f") + runs.replayed.rows("misses", scenario, "f")
        assert LEFT_OUT[scenario.name] in [find(row["detail"]) for row in rows], rows


def test_restored(scenario: Scenario, runs: Runs) -> None:
    check_restored(scenario, runs)
