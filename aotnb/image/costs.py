"""What the code in an image once cost the JIT, in a small file of this user for each image.

It is not kept in the image: compile times differ from run to run, and equal inputs must give equal images. An image that somebody
else made, or that was made before this file was lost, has no costs; nobody makes any up.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from aotnb.image.trust import key_path


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of the JIT: for everything in an image, and for each question with what was compiled on its behalf."""

    total: float
    questions: dict[str, float] = field(default_factory=dict)


def question(module: str, function: str, signature: str) -> str:
    """Return the name of a question: the return type does not belong to it.

    >>> question("m", "f", "(int64) -> int64")
    'm.f(int64)'
    """
    return f"{module}.{function}{signature.partition(' -> ')[0]}"


def costs_path(image_id: str) -> Path:
    """Return where the costs of an image lie: beside this user's key."""
    return key_path().parent / "compile-times" / f"{image_id}.json"


def write_costs(image_id: str, costs: Costs) -> None:
    """Note the costs of an image. An image without them works as well, so a folder that cannot be written to is no error."""
    path = costs_path(image_id)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        temporary.write_text(json.dumps({"total": costs.total, "questions": costs.questions}), encoding="utf-8")
        os.replace(temporary, path)


def read_costs(image_id: str) -> Costs | None:
    """Return the costs of an image, None where they are unknown."""
    try:
        found = json.loads(costs_path(image_id).read_text(encoding="utf-8"))
        return Costs(float(found["total"]), {str(name): float(seconds) for name, seconds in found["questions"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
