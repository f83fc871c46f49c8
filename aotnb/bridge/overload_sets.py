"""Which of the overloads that others have registered under a name some code depends on.

Numba asks the overloads of a function in the order of their registration, its own first, and takes the first that fits. So
code depends on those that were asked and on their order, and where all of them declined, on none of them in particular:
libraries may overload ``len`` and ``operator.add`` for types of their own at any time.

What code depends on is one word, which :func:`overload_set` makes and :func:`holds` compares with what is registered now:

- "none" and the digests of the overloads that are known to decline: those may be there or not, in any order, and others
  behind Numba's own
- a number and a digest: so many, as long as they are asked in the order of registration
- "all" and a digest: each of them

Each holds the digest of what is registered otherwise, too. No word (None) stands for "none" where nothing was registered.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from numba.core import types
from numba.core.registry import cpu_target
from numba.core.typing.templates import _OverloadFunctionTemplate

from aotnb.bridge.extensions import (
    extended_names,
    external_overloads,
    is_numbas,
    other_digest,
    overload_digest,
    registered_sizes,
)
from aotnb.bridge.inspect import key_name
from aotnb.core.digest import digest
from aotnb.errors import NotRelocatable

_NONE, _ALL = "none", "all"
_NOTHING = f"{_NONE}::"
_refreshed: list[int] = []  # how much was registered when the typing context was refreshed


def claiming(key: Any, args: Sequence[Any], kws: Mapping[str, Any]) -> set[int]:
    """Return the ``id`` of each overload, from outside Numba, of a function that does not decline a call with these types.

    Numba asks them up to the first that fits. Those behind it are asked here as well: one that declines does so wherever
    it stands.
    """
    overloads = external_overloads()
    if not overloads:
        return set()
    return {id(t) for t in overloads.get(key_name(key), ()) if _is_of_function(t) and not _declines(t, args, kws)}


def overload_set(name: str, asked: Container[int] = (), claimed: Container[int] = (), *, answered: bool = True) -> str | None:
    """Return what code that resolved *name* depends on of what others registered for it, as one word or None.

    Parameters
    ----------
    name
        What was resolved.
    asked, claimed
        The ``id`` of overload templates: those that Numba asked, and those that :func:`claiming` gave.
    answered
        Whether something fitted each time; where not, one more overload could fit.

    Raises
    ------
    NotRelocatable
        If something that decides has no encoding.
    """
    overloads = external_overloads().get(name, [])
    if answered and all(map(_is_for_any_target, overloads)) and not any(id(template) in claimed for template in overloads):
        known = {_digest_if_known(template, needed=id(template) in asked) for template in overloads} - {""}
        content = f"{_NONE}:{other_digest(name)}:{','.join(sorted(known))}"
        return None if content == _NOTHING else content
    count = _ALL
    if answered and _is_in_order(name):
        last = max((number for number, template in enumerate(overloads, 1) if id(template) in asked), default=0)
        count = str(len(set(map(overload_digest, overloads[:last]))))
    return _content(name, count)


def holds(name: str, content: str | None) -> bool:
    """Return whether what code depends on is as it was, *content* being what :func:`overload_set` gave.

    Raises
    ------
    NotRelocatable
        If something that decides has no encoding.
    """
    count, _, rest = (content or _NOTHING).partition(":")
    if count != _NONE:
        return (count == _ALL or _is_in_order(name)) and _content(name, count) == content
    expected, _, known = rest.partition(":")
    overloads = external_overloads().get(name, ())
    if expected != other_digest(name) or not all(map(_is_for_any_target, overloads)):
        return False
    return all(_waits_its_turn(template) or overload_digest(template) in known.split(",") for template in overloads)


def to_check(recorded: Iterable[tuple[str, str]], resolved: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Yield name and word of all that :func:`holds` has to be asked for code that resolved these names.

    *recorded* are the names that have a word. The others matter where something is registered for them by now.
    """
    known = set()
    for name, content in recorded:
        known.add(name)
        yield name, content
    if extended := extended_names():
        yield from ((name, None) for name in extended.intersection(resolved) - known)


def dispensable(name: str, content: str | None) -> list[int]:
    """Return the ``id`` of the overloads that need not be there for code that depends on *content*: they declined."""
    declined = content is None or content.startswith(_NONE)
    return [id(template) for template in external_overloads().get(name, ())] if declined else []


def _declines(template: Any, args: Sequence[Any], kws: Mapping[str, Any]) -> bool:
    plain = [types.unliteral(arg) for arg in args], {name: types.unliteral(arg) for name, arg in kws.items()}
    try:
        return all(template._overload_func(*some, **named) is None for some, named in ((args, kws), plain))
    except Exception:  # whatever it may raise: it did not decline
        return False


def _content(name: str, count: str) -> str:
    """Return *count* and the digest of so many overloads of *name* and of all else that is registered for it, if anything is.

    What was defined anew with equal content and options stands twice in the registry, and counts once: the first that
    fits is taken.
    """
    overloads: dict[str, None] = {}
    for template in external_overloads().get(name, ()):
        if count != _ALL and len(overloads) >= int(count):
            break
        overloads[overload_digest(template)] = None
    other = other_digest(name)
    return f"{count}:{digest([*overloads, other]) if overloads or other else ''}"


def _digest_if_known(template: Any, *, needed: bool) -> str:
    """Return the digest of an overload; empty where it has no encoding and is not *needed*."""
    try:
        return overload_digest(template)
    except NotRelocatable:
        if needed:
            raise
        return ""


# ---------------------------------------------------------------- the order in which Numba asks


def _is_of_function(template: Any) -> bool:
    return _OverloadFunctionTemplate in template.__mro__


def _is_for_any_target(template: Any) -> bool:
    """Return whether *template* is asked in its turn. Attributes are looked up by class, those for one target come first."""
    return _is_of_function(template) and template.metadata.get("target", "generic") == "generic"


def _is_in_order(name: str) -> bool:
    """Return whether overloads for *name* are asked in the order of their registration, and after Numba's own."""
    overloads = external_overloads().get(name, ())
    if len({id(template.key) for template in overloads}) > 1:
        return False  # of local functions there may be several with one name
    return all(_is_for_any_target(template) and _waits_its_turn(template) for template in overloads)


def _waits_its_turn(template: Any) -> bool:
    """Return whether *template* is asked after all of Numba's own for the same function."""
    context = _refreshed_context()
    listed = getattr(context._lookup_global(template.key), "templates", ())
    if template not in listed or any(type(known) not in listed for known in context._functions.get(template.key, ())):
        return False  # Numba asks what is not in the list last
    return not any(map(is_numbas, listed[listed.index(template) :]))


def _refreshed_context() -> Any:
    """Return Numba's typing context with all that is registered, as the next compilation would have it."""
    if _refreshed != registered_sizes():
        cpu_target.typing_context.refresh()
        _refreshed[:] = registered_sizes()  # refreshing may import more of Numba
    return cpu_target.typing_context
