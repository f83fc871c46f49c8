"""What tools may ask about code from an image: its names, its annotation, its metadata; said plainly where nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numba.core.annotations.type_annotations import SourceLines
from numba.core.funcdesc import PythonFunctionDescriptor

NOTE = (
    "served from an aotnb image, which keeps neither Numba IR nor diagnostics: compile the function without the image to see them"
)


class ServedDescriptor(PythonFunctionDescriptor):  # type: ignore[misc]
    """A function descriptor under the canonical names of an image, which Numba's rules for names do not fit.

    *symbols* are the names of the native function and of its wrappers, by kind.
    """

    __slots__ = ("_symbols",)

    def __init__(self, func: Any, symbols: Mapping[str, str], args: tuple[Any, ...], return_type: Any, env_name: str) -> None:
        self._symbols = dict(symbols)
        code = func.__code__
        super().__init__(
            True, func.__module__, func.__qualname__, func.__qualname__, func.__doc__ or "", None, return_type, None,
            tuple(code.co_varnames[: code.co_argcount]), (),
            mangler=lambda *args, **kwargs: symbols["native"], argtypes=args, env_name=env_name, global_dict=func.__globals__,
        )  # fmt: skip

    @property
    def llvm_cpython_wrapper_name(self) -> str:
        """The name of the wrapper for Python; empty where the image holds none."""
        return self._symbols.get("python", "")

    @property
    def llvm_cfunc_wrapper_name(self) -> str:
        """The name of the wrapper for C; empty where the image holds none."""
        return self._symbols.get("c", "")


class ServedAnnotation:
    """Stands for Numba's type annotation: the source lines and the types of the call, without the typed IR."""

    def __init__(self, func: Any, args: tuple[Any, ...], return_type: Any) -> None:
        self._func = func
        self.func_id = _FunctionId(func)
        self.filename = self.func_id.filename
        self.linenum = str(self.func_id.firstlineno)
        self.signature = f"{args} -> {return_type}"
        self.lifted = ()
        self.num_lifted_loops = 0

    def annotate_raw(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what :meth:`numba.core.dispatcher.Dispatcher.get_annotation_info` shows: source lines, no IR lines."""
        source = SourceLines(self._func)
        numbers = list(source)
        return {
            (f"{self.filename}:{self.func_id.firstlineno + 1}", self.signature): {
                "num_lifted_loops": 0,
                "filename": self.filename,
                "funcname": self._func.__name__,
                "python_lines": [(number, source[number].strip()) for number in numbers],
                "python_indent": {number: len(source[number]) - len(source[number].lstrip()) for number in numbers},
                "python_tags": dict.fromkeys(numbers, ""),
                "ir_lines": {number: [] for number in numbers},
                "ir_indent": {number: [] for number in numbers},
            }
        }

    def annotate(self) -> str:
        """Return the text of ``inspect_types()``."""
        return f"{self.filename}:{self.linenum}: {self._func.__qualname__} {self.signature}\n{NOTE}\n"

    def __str__(self) -> str:
        return self.annotate()


class _FunctionId:
    def __init__(self, func: Any) -> None:
        self.func, self.func_name, self.func_qualname = func, func.__name__, func.__qualname__
        self.filename, self.firstlineno = func.__code__.co_filename, func.__code__.co_firstlineno


class _Diagnostics:
    def __init__(self, func: Any) -> None:
        self._name = func.__qualname__

    def dump(self, level: int = 1) -> None:
        """Print that there is nothing to print."""
        print(f"{self._name}: {NOTE}")


def metadata(func: Any) -> dict[str, Any]:
    """Return the metadata of a compile result under the keys that Numba's own always has."""
    return {"parfor_diagnostics": _Diagnostics(func), "parfors": {}, "pipeline_times": {}}
