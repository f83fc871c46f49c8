"""What an image cannot hold: the one list, read by messages, reports, documentation and tests. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One kind of code that is compiled anew in each process.

    ``sentence`` is the detail of a miss, with the names of the case at hand in braces; ``what``, ``why`` and ``cure`` are
    for the reader of the documentation and of ``%aot_stragglers``.
    """

    sentence: str
    what: str
    why: str
    cure: str


LEFT_OUT: dict[str, LeftOut] = {
    "lifted_loops": LeftOut(
        "a loop of {function} is known only by a function that was compiled before aotnb was loaded, or cannot be saved",
        "The loops of a function in object mode (`forceobj=True`) that itself cannot be saved",
        "Numba compiles such a loop, when it is first reached, as a function without a name.",
        "Load aotnb earlier; put the loop into a function with `@njit`, or say `looplift=False`.",
    ),
    "extension_type": LeftOut(
        "type {type} of class {name} is more than its attributes",
        "A function that handles a type of an extension whose identity cannot be taken over, such as one that holds itself",
        "Another process could not tell whether it has the same type.",
        "Derive the `key` of the type from its attributes alone.",
    ),
    "type": LeftOut(
        "type {type} of class {name} has no encoding",
        "A function with arguments or results of a type that is not listed",
        "Nothing is guessed: the list of types is closed.",
        "Pass what the object is made of, and report the type.",
    ),
    "value": LeftOut(
        "a value of type {type} has no encoding",
        "A function that reads a global or a closure cell of an unusual type",
        "There is no rule that says when two such values are equal to the compiler.",
        "Read it in Python and pass a number, a string, a tuple or an array.",
    ),
    "no_name": LeftOut(
        "{object} has no module and qualified name, so no later process could find it",
        "A function that refers to an object without a name",
        "Another process finds objects by module and name only.",
        "Give the object a name at the top level of a module.",
    ),
    "other_object": LeftOut(
        "{module}.{name} does not lead to the object in use; define it at the top level of its module",
        "A function that refers to a class or function that was defined inside another function, or replaced",
        "Another process finds objects by module and name only.",
        "Define it at the top level of its module.",
    ),
    "nameless_callee": LeftOut(
        "no name in {caller} leads to the function {callee} that it calls",
        "A function that calls the inner function of another one, which returns it",
        "The inner function is compiled as one of its own, and only the compiler knows it.",
        "Define the inner function with `@njit` at the top level.",
    ),
    "nameless_address": LeftOut(
        "{function} holds the address of an object ({type}) that has no name",
        "A function that returns, to Python, a function that only the compiler knows",
        "The address of an object means nothing in another process.",
        "Define the function that is returned at the top level.",
    ),
    "address": LeftOut(
        "the code holds the address {address} of this process",
        "A function whose code was made with a number that is an address, by an `@intrinsic`",
        "The address of an object means nothing in another process.",
        "Let the intrinsic take the address as an argument, or use a ctypes function.",
    ),
    "two_classes": LeftOut(
        "{function} handles two classes of one definition",
        "A function that handles two jitclasses with equal fields and methods",
        "Another process could not tell which is which.",
        "Make one class, or give the classes different names.",
    ),
    "shared_code": LeftOut(
        "code of {function} would stand for several functions of equal content that hold different objects",
        "A function that calls several closures of one factory over different big arrays, where it was traced with one",
        "The code that they share is bound to one of the objects.",
        "Trace it again with the closures that it calls now, or pass the arrays as arguments.",
    ),
    "other_objects": LeftOut(
        "the code of {function} is bound to other objects already, in as many places as an image may have",
        "Closures of one factory over ever more big arrays or C functions, beyond the first 64",
        "For each of them the code of the image is mapped once more, which takes memory.",
        "Pass the array as an argument.",
    ),
    "recursion": LeftOut(
        "a recursive call was left unresolved",
        "Some functions that call themselves with other argument types",
        "The call is resolved by name when everything is in memory.",
        "Convert the argument, so that all calls have the same types.",
    ),
    "circle": LeftOut(
        "{function} and {other}, which call each other, are bound to one object under two names",
        "Functions that call each other, where both are bound to one big array or C function under names of their own",
        "They are one piece of code, which is bound once; another process might find two objects.",
        "Use one name for the object.",
    ),
    "pipeline": LeftOut(
        "the pipeline class {name} is not Numba's own",
        "A function with a compiler pipeline of its own (`pipeline_class=`)",
        "The passes of the pipeline run inside the compiler and may read anything.",
        "Use Numba's pipeline.",
    ),
    "error_text": LeftOut(
        "the error message of a call that has no typing mentions {what}",
        "A call that Numba cannot type, where the message names something of this process or of other files",
        "Another process could not write the same message.",
        "Nothing need be done: the attempt is made again, and fails again.",
    ),
    "ufunc": LeftOut(
        "the ufunc {name} is not a public ufunc of NumPy",
        "A function that calls a ufunc of another library",
        "There is no rule that says when two such ufuncs are equal to the compiler.",
        "Make it with `@vectorize`.",
    ),
}


def refusal(kind: str, **names: object) -> str:
    """Return the sentence on the case at hand.

    >>> refusal("ufunc", name="expit")
    'the ufunc expit is not a public ufunc of NumPy'
    """
    return LEFT_OUT[kind].sentence.format(**names)


def find(detail: str) -> LeftOut | None:
    """Return the entry that a sentence belongs to, also where it stands inside another one.

    >>> find("its callee m.f: a recursive call was left unresolved").cure
    'Convert the argument, so that all calls have the same types.'
    """
    return next((entry for entry in LEFT_OUT.values() if re.search(_pattern(entry.sentence), detail, re.DOTALL)), None)


def _pattern(sentence: str) -> str:
    return ".+".join(re.escape(part) for part in re.split(r"\{\w+\}", sentence))


def markdown() -> str:
    """Return the list for the documentation."""
    rows = [f"**{entry.what}.** {entry.why} {entry.cure}" for entry in LEFT_OUT.values()]
    return "\n".join(f"- {row}" for row in rows) + "\n"
