"""Errors by which Numba refuses to type a call, as outcomes that an image can hold: class, message, and the places it names.

A message quotes files, lines and source, and names functions and other objects by their addresses. Places are stored
relative to the function they lie in, and its source has to be the same when the error is raised again; addresses are those of
the live objects then. What else depends on the process is not stored.
"""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numba
from numba.core import config, errors
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic
from numba.core.ir import Loc
from numba.core.utils import safe_relpath

from aotnb.bridge.values import is_fixed_module
from aotnb.core.digest import digest
from aotnb.core.left_out import refusal
from aotnb.errors import NotRelocatable

Tree = Any

# places in files, in the forms in which Numba writes them, and an address in the name of a function or of a class
_NO_TEXT = re.compile(
    r'(?<=File ")(?P<file>[^"\n]+)", line (?P<line>\d+)|(?<= at )(?P<path>[^\n]+) \((?P<row>\d+)\)$'
    r"|(?<=, )(?P<base>[^\s,()]+):(?P<short>\d+)(?=\))"
    r"|(?<=: File: )(?P<overload>[^\n]+): Line (?P<first>\d+)(?=\.$)|(?<=raised from )(?P<raised>[^\n]+):(?P<where>\d+)$"
    r"|(?P<address>0x[0-9a-f]{6,})|#[0-9a-f]{6,}",
    re.MULTILINE,
)
_ROOT = os.path.dirname(numba.__file__)
_TESTS = os.path.join(_ROOT, "tests", "")
_INSIDE = "_implementation"
_SITE = os.path.dirname(_ROOT)  # to which the files of overloads are relative


def words(tree: Tree) -> list[str]:
    """Return the words of an encoded error, sorted: Numba writes sets as they come, and indents by how often it has tried."""
    return sorted(re.findall(r"\w+", repr(tree).replace("\\n", " ")))


def is_typing_error(error: BaseException) -> bool:
    """Return whether Numba remembers this error for a signature: one of its own classes, raised by typing."""
    return isinstance(error, errors.TypingError) and type(error).__module__ == errors.__name__


def subject_of(value: Any) -> Any:
    """Return what messages name where code uses *value*: the function of a dispatcher or an intrinsic, or the object itself."""
    if isinstance(value, Dispatcher):
        return value.py_func
    return value._defn if isinstance(value, _Intrinsic) else value


def encode_error(error: Any, subjects: Sequence[Any]) -> tuple[Tree, list[int]]:
    """Encode an error that may name and quote *subjects*; return the tree, and the positions of those that it needs.

    Raises
    ------
    NotRelocatable
        If a part of the message belongs to this process alone.
    """
    if error.__cause__ is not None:
        raise NotRelocatable(refusal("error_text", what="the error that it came from"))
    used: list[int] = []

    def use(number: int) -> int:
        if number not in used:
            used.append(number)
        return used.index(number)

    def own_place(is_file: Callable[[str], bool], line: int, what: str) -> Tree:
        for number, func in enumerate(subjects):
            if not isinstance(func, FunctionType):
                continue
            code = func.__code__
            if is_file(code.co_filename) and code.co_firstlineno <= line <= last_line(code):
                return ["own", use(number), line - code.co_firstlineno]
        raise NotRelocatable(refusal("error_text", what=what))

    def place(file: str, line: int) -> Tree:
        path = os.path.abspath(file)
        if _is_numbas_path(path):
            return ["numba", os.path.relpath(path, _ROOT), line]
        if line <= 0 and not os.path.exists(path):
            return ["unknown", file, line]
        return own_place(lambda known: os.path.abspath(known) == path, line, f"line {line} of {file}")

    def part(match: re.Match[str]) -> Tree:
        if match["file"]:
            return place(match["file"], int(match["line"]))
        if match["path"]:
            return ["at", place(match["path"], int(match["row"]))]
        if match["overload"]:
            return ["overload", place(os.path.relpath(os.path.join(_SITE, match["overload"])), int(match["first"]))]
        if match["raised"]:
            return ["raised", place(match["raised"], int(match["where"]))]
        if match["base"] and _is_numbas_file(match["base"]):
            return match[0]
        if match["base"]:
            return ["short", own_place(lambda path: os.path.basename(path) == match["base"], int(match["short"]), match[0])]
        for number, subject in enumerate(subjects):
            if match["address"] == hex(id(subject)):
                return ["address", use(number)]
        if match["address"] and (found := _fixed_function(match["address"])) is not None:
            return ["function", *found]
        raise NotRelocatable(refusal("error_text", what=match[0]))

    parts = [list(_parts(text, part)) for text in _texts(error)]
    files = {os.path.basename(subject.__code__.co_filename) for subject in subjects if isinstance(subject, FunctionType)}
    for piece in (piece for pieces in parts for piece in pieces if isinstance(piece, str)):
        if named := [file for file in files if file in piece]:
            raise NotRelocatable(refusal("error_text", what=f"{named[0]} in another form than usual"))
    loc = None if error.loc is None else [place(error.loc.filename, error.loc.line), error.loc.col]
    needed = [subjects[number] for number in used]
    tree = [type(error).__name__, parts, loc, [_source(subject) for subject in needed], _style()]
    if _texts(decode_error(tree, needed)) != _texts(error):
        raise NotRelocatable(refusal("error_text", what="a place in another form than usual"))
    return tree, used


def _texts(error: Any) -> list[str]:
    return [str(error), str(error.msg), *map(str, error.contexts)]


def _is_numbas_path(path: str) -> bool:
    """Return whether a file is part of Numba, whose tests use the compiler as anybody's code does."""
    return path.startswith(os.path.join(_ROOT, "")) and not path.startswith(_TESTS)


def forget_frames(disp: Any, raised: Exception) -> None:
    """Let the errors that a dispatcher remembers hold no frames; of *raised*, which is on its way, it remembers a copy."""
    known = getattr(getattr(disp, "_compiler", None), "_failed_cache", {})
    for question, error in known.items():
        if error is raised:
            known[question] = error = _copy(raised)
        error.__traceback__ = error.__context__ = None


def remember(disp: Any, args: tuple[Any, ...], return_type: Any, error: Exception) -> None:
    """Let Numba repeat *error* for this question, as it does where its own attempt led to one."""
    disp._compiler._failed_cache[args, return_type] = _copy(error)


def _copy(error: Exception) -> Exception:
    made: Any = type(error).__new__(type(error))
    made.__dict__.update(error.__dict__)
    made.args = error.args
    return made  # type: ignore[no-any-return]


def _fixed_function(address: str) -> list[str] | None:
    """Return module and name of a function of Numba, NumPy or Python whose address this is.

    NumPy's functions are printed with the address of the function inside them.
    """
    for known, module in [*sys.modules.items()]:
        if isinstance(module, ModuleType) and is_fixed_module(known):
            for name, value in [*vars(module).items()]:
                if hex(id(value)) == address and callable(value):
                    return [known, name]
                if hasattr(type(value), _INSIDE) and hex(id(getattr(value, _INSIDE))) == address:
                    return [known, f"{name}.{_INSIDE}"]
    return None


def _is_numbas_file(name: str) -> bool:
    """Return whether a file of this name belongs to Numba, and to nothing else that is imported."""
    files = [getattr(module, "__file__", None) or "" for module in [*sys.modules.values()]]
    owners = [file for file in files if os.path.basename(file) == name]
    return bool(owners) and all(map(_is_numbas_path, owners))


def _parts(text: str, part: Callable[[re.Match[str]], Tree]) -> Iterator[Tree]:
    """Yield the pieces of a message: texts, and *part* of what is no mere text."""
    end = 0
    for match in _NO_TEXT.finditer(text):
        yield text[end : match.start()]
        yield part(match)
        end = match.end()
    yield text[end:]


def decode_error(tree: Tree, subjects: Sequence[Any]) -> Exception:
    """Return the error again, about the live *subjects* that it needs.

    Raises
    ------
    NotRelocatable
        If the message would read otherwise now: its source has changed, or messages are coloured.
    """
    name, parts, loc, sources, style = tree
    if style != _style():
        raise NotRelocatable("messages of errors are written in another style")
    for subject, content in zip(subjects, sources, strict=True):
        if _source(subject) != content:
            name = getattr(subject, "__qualname__", type(subject).__qualname__)
            raise NotRelocatable(f"the source of {name}, which the error quotes, has changed")

    def position(place: Tree) -> tuple[str, int]:
        kind, where, line = place
        if kind == "numba":
            return os.path.join(_ROOT, where), line
        if kind == "unknown":
            return where, line
        code = subjects[where].__code__
        return code.co_filename, code.co_firstlineno + line

    def spelled(piece: Tree) -> str:
        if isinstance(piece, str):
            return piece
        if piece[0] == "address":
            return hex(id(subjects[piece[1]]))
        if piece[0] == "function":
            _, module, name = piece
            return hex(id(_live_function(module, name)))
        if piece[0] == "at":
            return "{} ({})".format(*position(piece[1]))
        if piece[0] == "raised":
            return "{}:{}".format(*position(piece[1]))
        if piece[0] == "overload":
            file, line = position(piece[1])
            return f"{safe_relpath(file, start=_SITE)}: Line {line}"
        if piece[0] == "short":
            file, line = position(piece[1])
            return f"{os.path.basename(file)}:{line}"
        file, line = position(piece)
        return f'{os.path.relpath(file)}", line {line}'

    def text(pieces: list[Tree]) -> str:
        return "".join(map(spelled, pieces))

    message, short, *contexts = map(text, parts)
    error = getattr(errors, name).__new__(getattr(errors, name))
    error.args, error.msg, error._contexts = (message,), short, contexts
    error.loc = None if loc is None else Loc(*position(loc[0]), loc[1])
    return error  # type: ignore[no-any-return]


def _live_function(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise NotRelocatable(f"{module}.{name}, which the error names, is not imported")
    return found


def _source(subject: Any) -> str:
    return source_digest(subject.__code__) if isinstance(subject, FunctionType) else ""


def source_digest(code: CodeType) -> str:
    """Return the digest of the source lines of a function, with the line above, which messages quote as well."""
    lines = linecache.getlines(code.co_filename)
    return digest(lines[max(0, code.co_firstlineno - 2) : last_line(code)])


def last_line(code: CodeType) -> int:
    """Return the last line of a function, of those defined in it as well."""
    own = [line for _, _, line in code.co_lines() if line is not None]
    inner = [last_line(const) for const in code.co_consts if isinstance(const, CodeType)]
    return max((code.co_firstlineno, *own, *inner))


def _style() -> list[str]:
    return [type(errors.termcolor()).__name__, str(config.COLOR_SCHEME), str(config.DEVELOPER_MODE)]
