"""CPU targets of an image: Julia's grammar for them, what each CPU has, and which target a machine takes.

``target[;target]*`` with ``target = cpu[,word]*`` and a word = ``[+|-]feature``, ``clone_all``, ``-clone_all``, ``base(N)``,
``opt_size`` or ``min_size``. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from aotnb.errors import BuildError

# what every x86-64 processor has; Numba's feature string may leave it out (NUMBA_CPU_NAME=generic)
_BASELINE = frozenset({"64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2"})
_V2 = _BASELINE | {"cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3", "crc32"}
_V3 = _V2 | {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"}
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
_NEHALEM = _V2
_WESTMERE = _NEHALEM | {"pclmul"}
_SANDYBRIDGE = _WESTMERE | {"avx", "xsave", "xsaveopt"}
_IVYBRIDGE = _SANDYBRIDGE | {"rdrnd", "f16c", "fsgsbase"}
_HASWELL = _IVYBRIDGE | {"avx2", "bmi", "bmi2", "fma", "invpcid", "lzcnt", "movbe"}
_BROADWELL = _HASWELL | {"adx", "rdseed", "prfchw"}
_SKYLAKE = _BROADWELL | {"aes", "clflushopt", "xsavec", "xsaves"}
_SKX = _SKYLAKE | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "clwb", "pku"}
_CASCADELAKE = _SKX | {"avx512vnni"}
_ICELAKE = _CASCADELAKE | {
    "avx512bitalg", "avx512ifma", "avx512vbmi", "avx512vbmi2", "avx512vpopcntdq", "gfni", "rdpid", "sha", "vaes", "vpclmulqdq",
}  # fmt: skip
_ZNVER1 = _V3 | {
    "adx", "aes", "clflushopt", "clzero", "fsgsbase", "mwaitx", "pclmul", "prfchw", "rdrnd", "rdseed", "sha", "sse4a", "xsavec",
    "xsaveopt", "xsaves",
}  # fmt: skip
_ZNVER2 = _ZNVER1 | {"clwb", "rdpid", "wbnoinvd"}
_ZNVER3 = _ZNVER2 | {"invpcid", "pku", "vaes", "vpclmulqdq"}
_ZNVER4 = _ZNVER3 | {
    "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512bf16", "avx512bitalg", "avx512ifma", "avx512vbmi",
    "avx512vbmi2", "avx512vnni", "avx512vpopcntdq", "gfni",
}  # fmt: skip
_X86: dict[str, frozenset[str]] = {
    "generic": _BASELINE, "x86-64": _BASELINE, "x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4, "nehalem": _NEHALEM,
    "westmere": _WESTMERE, "sandybridge": _SANDYBRIDGE, "ivybridge": _IVYBRIDGE, "haswell": _HASWELL, "broadwell": _BROADWELL,
    "skylake": _SKYLAKE, "skylake-avx512": _SKX, "cascadelake": _CASCADELAKE, "icelake-server": _ICELAKE, "znver1": _ZNVER1,
    "znver2": _ZNVER2, "znver3": _ZNVER3, "znver4": _ZNVER4,
}  # fmt: skip
_ARM: dict[str, frozenset[str]] = {"generic": frozenset({"fp-armv8", "neon"})}
# what LLVM turns on together with a feature, and turns off together with what it rests on
_RESTS_ON: dict[str, tuple[str, ...]] = {
    "sse3": ("sse2",), "ssse3": ("sse3",), "sse4.1": ("ssse3",), "sse4.2": ("sse4.1",), "sse4a": ("sse3",), "avx": ("sse4.2",),
    "avx2": ("avx",), "fma": ("avx",), "f16c": ("avx",), "aes": ("sse2",), "pclmul": ("sse2",), "gfni": ("sse2",),
    "sha": ("sse2",), "vaes": ("avx2", "aes"), "vpclmulqdq": ("avx", "pclmul"), "xsaveopt": ("xsave",), "xsavec": ("xsave",),
    "xsaves": ("xsave",), "avx512f": ("avx2", "fma", "f16c"), "avx512bw": ("avx512f",), "avx512cd": ("avx512f",),
    "avx512dq": ("avx512f",), "avx512vl": ("avx512f",), "avx512ifma": ("avx512f",), "avx512vnni": ("avx512f",),
    "avx512vpopcntdq": ("avx512f",), "avx512bitalg": ("avx512bw",), "avx512bf16": ("avx512bw",), "avx512vbmi": ("avx512bw",),
    "avx512vbmi2": ("avx512bw",),
}  # fmt: skip
CPUS = {"x86_64": _X86, "AMD64": _X86, "aarch64": _ARM, "arm64": _ARM}
_WORDS = "clone_all, -clone_all, base(N), opt_size, min_size, +feature or -feature"
_FEATURE = re.compile(r"[+-]?[a-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Target:
    """One CPU for which an image holds code. ``features`` is LLVM's string, ``needs`` is what a host must have."""

    name: str
    cpu: str  # LLVM's name
    features: str
    needs: tuple[str, ...]
    clone_all: bool = False
    base: int = 0  # where the functions that are not cloned for this target come from
    size: str = ""  # "optsize", "minsize" or nothing
    changes: tuple[str, ...] = ()  # features that were asked for or forbidden beyond the name, such as "-avx2"

    def tree(self) -> dict[str, Any]:
        """Return this target as plain data."""
        return asdict(self)

    @property
    def label(self) -> str:
        """The name with what changes the code, for people."""
        words = [self.name, *self.changes]
        words += ["clone_all"] if self.clone_all else []
        words += [f"base({self.base})"] if self.base else []
        return ",".join([*words, *({"optsize": ["opt_size"], "minsize": ["min_size"]}.get(self.size, []))])


def target_from(tree: dict[str, Any]) -> Target:
    """Rebuild a target from plain data."""
    return Target(**{**tree, "needs": tuple(tree["needs"]), "changes": tuple(tree["changes"])})


def parse_targets(text: str, host: tuple[str, str], machine: str) -> list[Target]:
    """Return the targets that *text* names; *host* is the name and LLVM's feature string of the CPU that ``native`` means.

    Raises
    ------
    BuildError
        If *text* does not follow the grammar; the message has the position and what would be accepted there.
    """
    targets: list[Target] = []
    place = 0
    for part in text.split(";"):
        targets.append(_target(part, place, text, host, CPUS.get(machine, {}), targets))
        place += len(part) + 1
    return targets


def _target(
    part: str, place: int, text: str, host: tuple[str, str], cpus: dict[str, frozenset[str]], so_far: list[Target]
) -> Target:
    def wrong(at: int, what: str, accepted: str) -> BuildError:
        return BuildError(f"CPU target {text!r}, position {at + 1}: {what}; accepted: {accepted}")

    name, *words = part.split(",")
    at = place + len(name) - len(name.lstrip())
    name = name.strip()
    number = len(so_far)
    if name == "native":
        cpu, features = host
        named, needs = cpu, set(enabled(features))
    elif name in cpus:
        named, features, needs = name, "", set(cpus[name])
        cpu = "x86-64" if name == "generic" and "x86-64" in cpus else name
    else:
        raise wrong(at, f"no CPU {name!r} is known" if name else "the name of a CPU is missing", f"native, {', '.join(cpus)}")
    changes: list[str] = []
    clone_all, base, size = False, 0, ""
    place += len(part.split(",", maxsplit=1)[0]) + 1
    for raw in words:
        word, at = raw.strip(), place + len(raw) - len(raw.lstrip())
        place += len(raw) + 1
        if word in ("clone_all", "-clone_all"):
            clone_all = word == "clone_all"
        elif word in ("opt_size", "min_size"):
            size = word.replace("_", "")
        elif (match := re.fullmatch(r"base\((\d+)\)", word)) is not None:
            base = int(match[1])
            allowed = [str(n) for n in range(number) if n == 0 or so_far[n].clone_all]
            if str(base) not in allowed:
                raise wrong(
                    at,
                    f"base({base}) is no earlier target that has every function",
                    " or ".join(f"base({n})" for n in allowed) or "no base for the first target",
                )
        elif _FEATURE.fullmatch(word):
            feature = word.lstrip("+-")
            if feature not in _known_features(cpus, host):
                raise wrong(at, f"{word!r} is no feature that is known", _WORDS)
            on = not word.startswith("-")
            needs = (
                needs | _with_foundations(feature) if on else {name for name in needs if feature not in _with_foundations(name)}
            )
            changes.append(("+" if on else "-") + feature)
        else:
            raise wrong(at, f"{word!r} is not understood" if word else "a word is missing", _WORDS)
    features = ",".join([*([features] if features else []), *changes])
    return Target(named, cpu, features, tuple(sorted(needs)), clone_all, base, size, tuple(changes))


def _with_foundations(feature: str) -> set[str]:
    """Return a feature and all that it rests on."""
    return {feature}.union(*map(_with_foundations, _RESTS_ON.get(feature, ())))


def _known_features(cpus: dict[str, frozenset[str]], host: tuple[str, str]) -> set[str]:
    known = {item.lstrip("+-") for item in host[1].split(",")}
    return known.union(*cpus.values())


def enabled(features: str) -> list[str]:
    """Return the features that LLVM's string ``+avx2,-sse4a,...`` turns on."""
    state: dict[str, bool] = {}
    for item in features.split(","):
        if item:
            state[item.lstrip("+-")] = not item.startswith("-")
    return sorted(name for name, on in state.items() if on)


@dataclass(frozen=True, slots=True)
class Match:
    """The target that a host takes (None if none fits), why, and one reason for each that cannot be used."""

    number: int | None
    why: str
    rejected: tuple[str, ...]


def match_target(targets: Iterable[Target], host: tuple[str, str], machine: str) -> Match:
    """Return which of *targets* the *host* takes, after Julia's rules.

    What needs features that the host lacks is rejected; the exact name excludes all others; then wider vectors count, then
    more features, then the later entry.
    """
    have = set(enabled(host[1])) | (_BASELINE if CPUS.get(machine) is _X86 else _ARM["generic"])
    rejected, fit = [], []
    for number, target in enumerate(targets):
        missing = [name for name in target.needs if name not in have]
        if missing:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            rejected.append(f"target {number} ({target.label}) needs {', '.join(missing[:5])}{more}, which this {host[0]} lacks")
        else:
            fit.append((target.name == host[0], _vector_bits(target), len(target.needs), number))
    if not fit:
        return Match(None, "", tuple(rejected))
    best = max(fit)
    others = [item for item in fit if item is not best]
    if not others:
        why = "the only target that this CPU can run" if rejected else "the only target of the image"
    elif best[0] and not all(item[0] for item in others):
        why = "made for exactly this CPU"
    elif best[1] > max(item[1] for item in others):
        why = f"the widest vectors ({best[1]} bits)"
    elif best[2] > max(item[2] for item in others if item[:2] == best[:2]):
        why = f"the most features ({best[2]})"
    else:
        why = "the last of equals"
    return Match(best[3], why, tuple(rejected))


def _vector_bits(target: Target) -> int:
    return 512 if "avx512f" in target.needs else 256 if "avx" in target.needs else 128
