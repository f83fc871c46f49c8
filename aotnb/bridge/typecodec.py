"""The closed codec of Numba types: one encoder and one decoder per class, for specializations, roots and manifests.

Never ``str``, ``repr``, ``key`` or pickle of a type: those hold addresses, hide literal values, or differ between processes.
A class that is not listed is not relocatable, and said so.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from numba.core import types

from aotnb.bridge.names import is_local, lookup, name_tree
from aotnb.bridge.typeparts import members
from aotnb.core.digest import digest
from aotnb.core.left_out import refusal
from aotnb.errors import NotRelocatable

Tree = Any
Encoder = Callable[[Any], Tree]


class TypeDecoder:
    """Turns trees back into types. *scope* maps the text of trees that hold live functions to the types of the call at hand."""

    def __init__(self, scope: Mapping[str, types.Type] | None = None, functions: Iterable[Any] = ()) -> None:
        self.scope = scope or {}
        self.functions = functions  # the live functions at hand, one of which a generator comes from

    def decode(self, tree: Tree) -> types.Type:
        """Return the live type of *tree*; raise :class:`NotRelocatable` or :class:`LookupError` where there is none."""
        from aotnb.core.digest import canonical

        if tree[0] in _LIVE and (found := self.scope.get(canonical(tree))) is not None:
            return found
        try:
            decoder = _DECODERS[tree[0]]
        except KeyError:
            raise NotRelocatable(f"type {tree[0]} can only be bound to a live argument") from None
        return decoder(self, *tree[1:])


def encode_type(typ: types.Type) -> Tree:
    """Return the tree of *typ*, or raise :class:`NotRelocatable`."""
    try:
        encoder = _encoder(type(typ))
    except KeyError:
        name = f"{type(typ).__module__}.{type(typ).__qualname__}"
        raise NotRelocatable(refusal("type", type=typ, name=name)) from None
    try:
        return encoder(typ)
    except ReferenceError:
        raise NotRelocatable("a function that was passed as an argument is gone") from None
    except (AttributeError, TypeError) as error:
        raise NotRelocatable(f"type {typ} cannot be encoded: {error}") from None


def _encoder(cls: type) -> Encoder:
    from aotnb.bridge.values import is_extension

    if issubclass(cls, types.StructRef):
        return _structref
    return _extension if is_extension(cls) else _ENCODERS[cls]


def encode_types(items: Any) -> list[Tree]:
    """Encode a sequence of types."""
    return [encode_type(item) for item in items]


def _value(value: Any) -> Tree:
    from aotnb.bridge.values import value_tree

    return value_tree(value)


def _named(typ: types.Type) -> Tree:
    """Encode a type that is a module attribute of numba.types, such as int64 or none."""
    found = _SINGLETONS.get(typ.name)
    if found is None or found != typ:
        raise NotRelocatable(f"type {typ} has no public name in numba.types")
    return ["named", typ.name]


def _singletons() -> dict[str, types.Type]:
    return {typ.name: typ for typ in vars(types).values() if isinstance(typ, types.Type)}


_SINGLETONS = _singletons()


def _dispatcher(typ: Any) -> Tree:
    from aotnb.bridge.methods import dispatcher_tree

    return ["dispatcher", dispatcher_tree(typ.dispatcher)]


def _array(typ: Any) -> Tree:
    return ["array", encode_type(typ.dtype), typ.ndim, typ.layout, not typ.mutable, typ.aligned]


def _record(typ: Any) -> Tree:
    fields = [[name, encode_type(f.type), f.offset, f.alignment, f.title] for name, f in typ.fields.items()]
    return ["record", fields, typ.size, typ.aligned]


def _function(typ: Any) -> Tree:
    key = typ.typing_key
    return ["function", _value(key)]


def _initial(typ: Any) -> Tree:
    """Encode the items that a container literal had when it was typed, if its type remembers them."""
    items = typ.initial_value
    if items is None:
        return None
    if isinstance(items, Mapping):
        return ["pairs", [[_value(key), _value(value)] for key, value in items.items()]]
    return ["items", [_value(item) for item in items]]


def _decode_initial(tree: Tree) -> Any:
    if tree is None:
        return None
    kind, items = tree
    if kind == "pairs":
        return {_decode_value(key): _decode_value(value) for key, value in items}
    return [_decode_value(item) for item in items]


_open_classes: list[Any] = []  # the jitclasses that are being encoded, the outermost first
_class_trees: weakref.WeakKeyDictionary[Any, Tree] = weakref.WeakKeyDictionary()


def _jitclass(typ: Any) -> Tree:
    """Encode a jitclass by its fields and the definitions of its methods; one that refers to itself says so."""
    from aotnb.bridge.methods import method_tree

    for distance, other in enumerate(reversed(_open_classes)):
        if other is typ:
            return ["outer class", distance]
    if not _open_classes and typ in _class_trees:
        return _class_trees[typ]
    _open_classes.append(typ)
    try:
        fields = [[name, encode_type(field)] for name, field in typ.struct.items()]
    finally:
        _open_classes.pop()
    tree = ["jitclass", typ.class_name, digest([fields, sorted([step, method_tree(disp)] for step, disp in members(typ))])]
    if not _open_classes:
        _class_trees[typ] = tree
    return tree


def _function_name(func: Any) -> Tree:
    from aotnb.bridge.methods import function_tree

    return [func.__module__ or "", func.__qualname__, digest(function_tree(func))]


def _generator(typ: Any) -> Tree:
    parts = [encode_type(typ.yield_type), encode_types(typ.arg_types), encode_types(typ.state_types), typ.has_finalizer]
    return ["made generator", _function_name(typ.gen_func), *parts]


def _decode_generator(dec: TypeDecoder, name: Tree, yielded: Tree, args: Tree, states: Tree, finalizer: bool) -> types.Type:
    found = {id(func): func for func in dec.functions if func.__qualname__ == name[1] and _function_name(func) == name}
    if len(found) != 1:
        raise NotRelocatable(f"a generator made by {name[0]}.{name[1]} is bound to a live argument or function only")
    (func,) = found.values()
    states = [dec.decode(state) for state in states]
    return types.Generator(func, dec.decode(yielded), [dec.decode(arg) for arg in args], states, finalizer)


def _structref(typ: Any) -> Tree:
    with _opened(typ):
        fields = [[name, encode_type(field)] for name, field in typ.field_dict.items()]
    return ["structref", structref_class(type(typ)), fields]


def structref_class(cls: type) -> Tree:
    """Encode a class of struct types by its name and by what it makes of the fields that it is given."""
    from aotnb.bridge.deep import function_digest

    return [*name_tree(cls), function_digest(cls.preprocess_fields)]  # type: ignore[attr-defined]


def _decode_structref(dec: TypeDecoder, cls: Tree, fields: Tree) -> types.Type:
    found = lookup(cls[0], cls[1])
    decoded = tuple((name, dec.decode(field)) for name, field in fields)
    typ = found(decoded)
    if structref_class(found) != cls or tuple(typ.field_dict.items()) != decoded:
        raise LookupError(f"what {cls[0]}.{cls[1]} makes of its fields has changed")
    return typ  # type: ignore[no-any-return]


_AS_NUMBA_SAVES_IT = types.Type.__reduce__
_open_types: list[types.Type] = []  # those of extensions, and structs, that are being encoded, the outermost first
_whole: weakref.WeakSet[types.Type] = weakref.WeakSet()  # those that are equal to what their trees make


@contextlib.contextmanager
def _opened(typ: Any) -> Iterator[None]:
    """Refuse a type that holds itself."""
    if any(typ is outer for outer in _open_types):
        raise _more_than_its_attributes(typ)
    _open_types.append(typ)
    try:
        yield
    finally:
        _open_types.pop()


def _more_than_its_attributes(typ: Any) -> NotRelocatable:
    return NotRelocatable(refusal("extension_type", type=typ, name=f"{type(typ).__module__}.{type(typ).__qualname__}"))


def _extension(typ: Any) -> Tree:
    """Encode a type of a class from outside Numba by the name of the class and the attributes of the type.

    What the class means to the compiler is an edge of its own, see :mod:`aotnb.bridge.extensions`.
    """
    cls = type(typ)
    for name in _cached_properties(cls):
        getattr(typ, name)  # which of them are among the attributes must not depend on what was asked before
    state = {name: value for name, value in vars(typ).items() if name != "_code"}
    with _opened(typ):
        parts = [[name, _part(value)] for name, value in sorted(state.items())]
    if typ not in _whole:
        if cls.__reduce__ is not _AS_NUMBA_SAVES_IT or _made(TypeDecoder(), cls, parts) != typ:
            raise _more_than_its_attributes(typ)
        _whole.add(typ)
    if not is_local(cls):
        return ["extension", name_tree(cls), parts]
    # bound to a live type; those of several such classes are told apart by all that is registered for the class
    from aotnb.bridge.values import local_class_digest

    return ["local type", cls.__module__, cls.__qualname__, local_class_digest(cls), parts]


def _cached_properties(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, functools.cached_property)}


def _part(value: Any) -> Tree:
    """Encode an attribute of a type."""
    if isinstance(value, types.Type):
        return ["type", encode_type(value)]
    if type(value) in (tuple, list):
        return [type(value).__name__, [_part(item) for item in value]]
    if type(value) is dict:
        return ["dict", [[_part(key), _part(item)] for key, item in value.items()]]
    return ["value", _value(value)]


def _decode_part(dec: TypeDecoder, tree: Tree) -> Any:
    kind, content = tree
    if kind == "type":
        return dec.decode(content)
    if kind == "value":
        return _decode_value(content)
    if kind == "dict":
        return {_decode_part(dec, key): _decode_part(dec, item) for key, item in content}
    items = [_decode_part(dec, item) for item in content]
    return tuple(items) if kind == "tuple" else items


def _decode_extension(dec: TypeDecoder, cls: Tree, state: Tree) -> types.Type:
    found: Any = lookup(*cls)
    if not (isinstance(found, type) and issubclass(found, types.Type)):
        raise LookupError(f"{cls[0]}.{cls[1]} is no class of types")
    return _made(dec, found, state)


def _made(dec: TypeDecoder, cls: type, state: Tree) -> types.Type:
    typ: Any = object.__new__(cls)
    vars(typ).update({name: _decode_part(dec, part) for name, part in state})
    return type(typ)._intern(typ)  # type: ignore[no-any-return]


def _deferred(typ: Any) -> Tree:
    if typ._define is None:
        raise NotRelocatable("a deferred type that has not been defined yet")
    return ["deferred", encode_type(typ._define)]


def _enum_tree(cls: type) -> Tree:
    from aotnb.bridge.values import enum_tree

    name, members = enum_tree(cls)  # type: ignore[arg-type]
    return [*name, members]


def _signature(sig: Any) -> Tree:
    return [encode_type(sig.return_type), encode_types(sig.args)]


# types that are made of other types only: class -> name of the kind and the attributes that its constructor takes
_PARTS: dict[type, tuple[str, tuple[str, ...]]] = {
    types.UniTupleIter: ("unitupleiter", ("container",)),
    types.ListIter: ("listiter", ("container",)),
    types.SetIter: ("setiter", ("container",)),
    types.ListTypeIterableType: ("listtypeiterable", ("parent",)),
    types.ListTypeIteratorType: ("listtypeiter", ("iterable",)),
    types.DictItemsIterableType: ("dictitems", ("parent",)),
    types.DictKeysIterableType: ("dictkeys", ("parent",)),
    types.DictValuesIterableType: ("dictvalues", ("parent",)),
    types.DictIteratorType: ("dictiter", ("iterable",)),
    types.SetIterableType: ("settypeiterable", ("parent",)),
    types.SetIteratorType: ("settypeiter", ("iterable",)),
    types.EnumerateType: ("enumerate", ("source_type",)),
    types.ZipType: ("zip", ("source_types",)),
    types.ArrayIterator: ("arrayiter", ("array_type",)),
    types.NumpyFlatType: ("flat", ("array_type",)),
    types.NumpyNdEnumerateType: ("ndenumerate", ("array_type",)),
    types.NumpyNdIterType: ("nditer", ("arrays",)),
    types.NumpyNdIndexType: ("ndindex", ("ndim",)),
    types.Pair: ("pair", ("first_type", "second_type")),
    types.UnicodeIteratorType: ("unicodeiter", ("data",)),
    types.LiteralList: ("literallist", ("types",)),
    types.MemInfoPointer: ("meminfo", ("dtype",)),
    types.CPointer: ("pointer", ("dtype",)),
}


def _parts(kind: str, names: tuple[str, ...]) -> Encoder:
    def encode(typ: Any) -> Tree:
        parts = [getattr(typ, name) for name in names]
        return [kind, *[p if isinstance(p, int) else encode_types(p) if isinstance(p, tuple) else encode_type(p) for p in parts]]

    return encode


def _decode_parts(cls: Any) -> Callable[..., types.Type]:
    def decode(dec: TypeDecoder, *trees: Tree) -> types.Type:
        # a type is a list that starts with its kind; a list of types starts with a list, or is empty
        parts = [
            t if isinstance(t, int) else dec.decode(t) if t and isinstance(t[0], str) else [dec.decode(i) for i in t]
            for t in trees
        ]
        return cls(*parts)  # type: ignore[no-any-return]

    return decode


def _buffer(kind: str, typ: Any) -> Tree:
    return [kind, encode_type(typ.dtype), typ.ndim, typ.layout, not typ.mutable]


def _function_pointer(typ: Any) -> Tree:
    return ["functionpointer", _signature(typ.sig), typ.cconv, name_tree(typ.get_pointer)]


def _optional_type(typ: Any) -> Tree:
    return None if typ is None else encode_type(typ)


def _literal_dict(typ: Any) -> Tree:
    items = [[encode_type(key), encode_type(item)] for key, item in typ.literal_value.items()]
    places = None if typ.value_index is None else [[_value(key), _value(place)] for key, place in typ.value_index.items()]
    return ["literaldict", items, places]


def _decode_literal_dict(dec: TypeDecoder, items: Tree, places: Tree) -> types.Type:
    literal_value = {dec.decode(key): dec.decode(item) for key, item in items}
    index = None if places is None else {_decode_value(key): _decode_value(place) for key, place in places}
    return types.LiteralStrKeyDict(literal_value, index)


_ENCODERS: dict[type, Encoder] = {
    types.Integer: _named,
    types.Float: _named,
    types.Complex: _named,
    types.Boolean: _named,
    types.NoneType: _named,
    types.EllipsisType: _named,
    types.UnicodeType: _named,
    types.RawPointer: _named,
    types.PyObject: _named,
    types.Phantom: _named,
    types.Undefined: _named,
    types.RangeType: lambda t: ["range", encode_type(t.dtype)],
    types.RangeIteratorType: lambda t: ["rangeiter", encode_type(t.yield_type)],
    types.Array: _array,
    types.NestedArray: lambda t: ["nested", encode_type(t.dtype), list(t.shape)],
    types.Bytes: lambda t: ["bytes", encode_type(t.dtype), t.layout],
    types.Record: _record,
    types.CharSeq: lambda t: ["charseq", t.count],
    types.UnicodeCharSeq: lambda t: ["unicodecharseq", t.count],
    types.NPDatetime: lambda t: ["datetime", t.unit],
    types.NPTimedelta: lambda t: ["timedelta", t.unit],
    types.UniTuple: lambda t: ["unituple", encode_type(t.dtype), t.count],
    types.Tuple: lambda t: ["tuple", encode_types(t.types)],
    types.StarArgTuple: lambda t: ["startuple", encode_types(t.types)],
    types.StarArgUniTuple: lambda t: ["starunituple", encode_type(t.dtype), t.count],
    types.NamedTuple: lambda t: ["namedtuple", encode_types(t.types), name_tree(t.instance_class), list(t.fields)],
    types.NamedUniTuple: lambda t: ["namedunituple", encode_type(t.dtype), name_tree(t.instance_class), list(t.fields)],
    types.NamedTupleClass: lambda t: ["namedtupleclass", name_tree(t.instance_class), list(t.instance_class._fields)],
    types.List: lambda t: ["list", encode_type(t.dtype), t.reflected, _initial(t)],
    types.Set: lambda t: ["set", encode_type(t.dtype), t.reflected],
    types.ListType: lambda t: ["listtype", encode_type(t.item_type)],
    types.DictType: lambda t: ["dicttype", encode_type(t.key_type), encode_type(t.value_type), _initial(t)],
    types.SetType: lambda t: ["settype", encode_type(t.key_type), _initial(t)],
    types.PolynomialType: lambda t: ["polynomial", *(_optional_type(part) for part in (t.coef, t.domain, t.window)), t.n_args],
    types.LiteralStrKeyDict: _literal_dict,
    types.Optional: lambda t: ["optional", encode_type(t.type)],
    types.Omitted: lambda t: ["omitted", _value(t.value)],
    types.IntegerLiteral: lambda t: ["literal", _value(t.literal_value)],
    types.BooleanLiteral: lambda t: ["literal", _value(t.literal_value)],
    types.StringLiteral: lambda t: ["literal", _value(t.literal_value)],
    types.SliceLiteral: lambda t: ["literal", _value(t.literal_value)],
    types.SliceType: lambda t: ["slice", t.members],
    types.Opaque: _named,
    types.ByteArray: lambda t: _buffer("bytearray", t),
    types.MemoryView: lambda t: _buffer("memoryview", t),
    types.PyArray: lambda t: _buffer("pyarray", t),
    types.ExternalFunctionPointer: _function_pointer,
    types.ExternalFunction: lambda t: ["external", t.symbol, _signature(t.sig)],
    types.NumberClass: lambda t: ["numberclass", encode_type(t.instance_type)],
    types.TypeRef: lambda t: ["typeref", encode_type(t.instance_type)],
    types.DType: lambda t: ["dtype", encode_type(t.dtype)],
    types.EnumClass: lambda t: ["enumclass", _enum_tree(t.instance_class), encode_type(t.dtype)],
    types.IntEnumClass: lambda t: ["intenumclass", _enum_tree(t.instance_class), encode_type(t.dtype)],
    types.EnumMember: lambda t: ["enum", _enum_tree(t.instance_class), encode_type(t.dtype)],
    types.IntEnumMember: lambda t: ["intenum", _enum_tree(t.instance_class), encode_type(t.dtype)],
    types.ExceptionClass: lambda t: ["exceptionclass", name_tree(t.exc_class)],
    types.ExceptionInstance: lambda t: ["exception", name_tree(t.exc_class)],
    types.Module: lambda t: ["module", t.pymod.__name__],
    types.Dispatcher: _dispatcher,
    types.ClassType: _jitclass,
    types.ClassInstanceType: lambda t: ["instance", _jitclass(t.class_type)],
    types.DeferredType: _deferred,
    types.Generator: _generator,
    types.FunctionType: lambda t: ["functiontype", _signature(t.signature)],
    types.Function: _function,
    types.NumPyRandomBitGeneratorType: lambda t: ["bitgenerator", t.name],
    types.NumPyRandomGeneratorType: lambda t: ["generator", t.name],
    **{cls: _parts(*made_of) for cls, made_of in _PARTS.items()},
}

_LIVE = frozenset(
    {"jitclass", "instance", "deferred", "made generator", "dispatcher", "function", "module", "generator", "bitgenerator"}
    | {"local type"}
)


def _decode_array(dec: TypeDecoder, dtype: Tree, ndim: int, layout: str, readonly: bool, aligned: bool) -> types.Type:
    return types.Array(dec.decode(dtype), ndim, layout, readonly=readonly, aligned=aligned)


def _decode_record(dec: TypeDecoder, fields: Tree, size: int, aligned: bool) -> types.Type:
    decoded = [
        (name, {"type": dec.decode(typ), "offset": offset, "alignment": alignment, "title": title})
        for name, typ, offset, alignment, title in fields
    ]
    return types.Record(decoded, size, aligned)


def _class(tree: Tree, fields: list[str] | None = None) -> Any:
    cls = lookup(tree[0], tree[1])
    if fields is not None and list(cls._fields) != fields:
        raise LookupError(f"the fields of {tree[0]}.{tree[1]} have changed")
    return cls


def _enum(dec: TypeDecoder, tree: Tree) -> Any:
    cls = lookup(tree[0], tree[1])
    if _enum_tree(cls) != tree:
        raise LookupError(f"the members of {tree[0]}.{tree[1]} have changed")
    return cls


def _decode_value(tree: Tree) -> Any:
    from aotnb.bridge.values import decode_value

    return decode_value(tree)


def _decode_signature(dec: TypeDecoder, tree: Tree) -> Any:
    return_type, args = tree
    return dec.decode(return_type)(*[dec.decode(arg) for arg in args])


def _decode_buffer(cls: type) -> Callable[..., types.Type]:
    return lambda dec, dtype, ndim, layout, readonly: cls(dec.decode(dtype), ndim, layout, readonly=readonly)


_DECODERS: dict[str, Callable[..., types.Type]] = {
    "named": lambda dec, name: _SINGLETONS[name],
    "range": lambda dec, t: types.RangeType(dec.decode(t)),
    "rangeiter": lambda dec, t: types.RangeIteratorType(dec.decode(t)),
    "array": _decode_array,
    "nested": lambda dec, t, shape: types.NestedArray(dec.decode(t), tuple(shape)),
    "bytes": lambda dec, t, layout: types.Bytes(dec.decode(t), 1, layout),
    "record": _decode_record,
    "charseq": lambda dec, n: types.CharSeq(n),
    "unicodecharseq": lambda dec, n: types.UnicodeCharSeq(n),
    "datetime": lambda dec, unit: types.NPDatetime(unit),
    "timedelta": lambda dec, unit: types.NPTimedelta(unit),
    "unituple": lambda dec, t, n: types.UniTuple(dec.decode(t), n),
    "tuple": lambda dec, ts: types.Tuple([dec.decode(t) for t in ts]),
    "startuple": lambda dec, ts: types.StarArgTuple([dec.decode(t) for t in ts]),
    "starunituple": lambda dec, t, n: types.StarArgUniTuple(dec.decode(t), n),
    "namedtuple": lambda dec, ts, c, f: types.NamedTuple([dec.decode(t) for t in ts], _class(c, f)),
    "namedunituple": lambda dec, t, c, f: types.NamedUniTuple(dec.decode(t), len(f), _class(c, f)),
    "namedtupleclass": lambda dec, c, f: types.NamedTupleClass(_class(c, f)),
    "list": lambda dec, t, r, i: types.List(dec.decode(t), r, _decode_initial(i)),
    "set": lambda dec, t, r: types.Set(dec.decode(t), r),
    "listtype": lambda dec, t: types.ListType(dec.decode(t)),
    "dicttype": lambda dec, k, v, i: types.DictType(dec.decode(k), dec.decode(v), _decode_initial(i)),
    "settype": lambda dec, k, i: types.SetType(dec.decode(k), _decode_initial(i)),
    "polynomial": lambda dec, *parts: types.PolynomialType(*(None if p is None else dec.decode(p) for p in parts[:3]), parts[3]),
    "literaldict": _decode_literal_dict,
    "optional": lambda dec, t: types.Optional(dec.decode(t)),
    "omitted": lambda dec, v: types.Omitted(_decode_value(v)),
    "literal": lambda dec, v: types.literal(_decode_value(v)),
    "slice": lambda dec, n: {2: types.slice2_type, 3: types.slice3_type}[n],
    "bytearray": _decode_buffer(types.ByteArray),
    "memoryview": _decode_buffer(types.MemoryView),
    "pyarray": _decode_buffer(types.PyArray),
    "functionpointer": lambda dec, s, cconv, get: types.ExternalFunctionPointer(_decode_signature(dec, s), lookup(*get), cconv),
    "external": lambda dec, symbol, s: types.ExternalFunction(symbol, _decode_signature(dec, s)),
    "numberclass": lambda dec, t: types.NumberClass(dec.decode(t)),
    "typeref": lambda dec, t: types.TypeRef(dec.decode(t)),
    "dtype": lambda dec, t: types.DType(dec.decode(t)),
    "enumclass": lambda dec, c, t: types.EnumClass(_enum(dec, c), dec.decode(t)),
    "intenumclass": lambda dec, c, t: types.IntEnumClass(_enum(dec, c), dec.decode(t)),
    "enum": lambda dec, c, t: types.EnumMember(_enum(dec, c), dec.decode(t)),
    "intenum": lambda dec, c, t: types.IntEnumMember(_enum(dec, c), dec.decode(t)),
    "exceptionclass": lambda dec, c: types.ExceptionClass(_class(c)),
    "exception": lambda dec, c: types.ExceptionInstance(_class(c)),
    "made generator": _decode_generator,
    "structref": _decode_structref,
    "extension": _decode_extension,
    "functiontype": lambda dec, s: types.FunctionType(_decode_signature(dec, s)),
    **{kind: _decode_parts(cls) for cls, (kind, _) in _PARTS.items()},
}
