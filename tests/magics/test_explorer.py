"""The explorer over real compilations, driven through its widgets as a front end would."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any

import pytest
from IPython.utils.capture import capture_output

from aotnb.display.explorer import PAGE, Node, Tree
from aotnb.errors import AotError
from aotnb.image.journal import journal_of

LIMIT_S = 120
NUMBERS = itertools.count(1)
SOURCE = """
import numba
@numba.njit
def explored_helper(x):
    return x + explored_{0}
@numba.njit
def explored_{1}(x):
    return explored_helper(x) * 2
explored_{0} = {0}
"""


def run(shell: Any, code: str) -> Any:
    result = shell.run_cell(code)
    result.raise_error()
    return result.result


@pytest.fixture
def explorer(shell: Any) -> Any:
    number = next(NUMBERS)
    run(shell, SOURCE.format(number, number + 1000))
    with capture_output():
        run(shell, f"%%aot_trace explored\nexplored_{number + 1000}(3)")
    found = run(shell, "%aot_explore")
    found.code.filter.value = f"explored_{number + 1000}"
    return found


def rows(explorer: Any) -> list[str]:
    """Return the rows of the tree, all of its first method opened."""
    explorer.code.tree.select.value = 1
    return [label for label, _ in explorer.code.tree.select.options]


def built(explorer: Any) -> str:
    """Wait for the build that was begun and return what the explorer says of it."""
    if explorer.building is not None:
        with contextlib.suppress(AotError):
            explorer.building.wait(LIMIT_S)
    said: str = explorer.status.value
    return said


def show(explorer: Any, pane: str) -> str:
    explorer.code.show.value = pane
    text: str = explorer.code.text.value
    return text


def test_panes_show_what_was_compiled(explorer: Any) -> None:
    name = explorer.code.filter.value
    method, types, instance = rows(explorer)
    assert f"{name}, 1 code instance, " in method
    assert "(int64)" in types and "int64: compiled in" in instance
    assert f"def {name}" in show(explorer, "Source")
    assert "define " in show(explorer, "LLVM IR") and ".globl" in show(explorer, "Assembly")
    assert "explored_helper" in show(explorer, "Edges")
    assert "type: int64" in show(explorer, "Roots")
    assert "no compiled code calls it" in show(explorer, "Callers and invalidations")
    explorer.code.filter.value = "explored_helper"
    assert name in show(explorer, "Callers and invalidations")


def test_save_and_load_in_place(explorer: Any, tmp_path: Path) -> None:
    explorer.file.value = str(tmp_path / "none" / "image.aot")
    explorer.load.click()
    assert "none" in explorer.status.value and not explorer.save.disabled
    explorer.file.value = str(tmp_path / "image.aot")
    explorer.save.click()
    assert "saved" in built(explorer) and (tmp_path / "image.aot").exists()
    assert not explorer.save.disabled and explorer.going.layout.display == "none"
    explorer.load.click()
    assert "loaded" in explorer.status.value
    explorer.code.filter.value = "image.aot"
    assert "define " in show(explorer, "LLVM IR") and "no assembly" in show(explorer, "Assembly")
    assert "[" in show(explorer, "Roots")
    assert show(explorer, "Callers and invalidations")


def test_compact_and_cancel_in_place(explorer: Any, shell: Any, tmp_path: Path) -> None:
    file = tmp_path / "journal.aot"
    explorer.file.value = str(file)
    explorer.compact.click()
    assert "there is no image" in explorer.status.value and not explorer.compact.disabled
    explorer.save.click()
    built(explorer)
    with capture_output():
        run(shell, f"{explorer.code.filter.value}(2.5)")
        run(shell, f"%aot_save -q --journal {file}")
    assert journal_of(file).exists() and journal_of(file).stat().st_size
    explorer.compact.click()
    assert "saved" in built(explorer)
    assert not journal_of(file).exists() or not journal_of(file).stat().st_size
    before = file.read_bytes()
    explorer.save.click()
    explorer.cancel.click()
    assert "cancelled" in built(explorer) and not explorer.save.disabled
    assert file.read_bytes() == before


def test_a_tree_of_thousands_is_shown_in_pages() -> None:
    chosen: list[Any] = []
    tree = Tree("Code", chosen.append)
    types = [[Node(f"t{m}.{n}", (m, n), [Node("c", (m, n, 0))]) for n in range(PAGE + 10 if m == 0 else 2)] for m in range(1000)]
    tree.fill([(f"m{m}", Node(f"m{m}", m, below)) for m, below in enumerate(types)])
    labels = [label for label, _ in tree.select.options]
    assert len(labels) == 2 * PAGE + 1 and chosen == [0]
    assert "10 more; the filter finds them" in labels[PAGE + 1]
    tree.select.value = 3  # opens the specialization
    assert chosen[-1] == (0, 2) and tree.select.value == 3 and tree.select.options[4][0].strip() == "c"
    tree.select.value = 4
    assert chosen[-1] == (0, 2, 0) and len(tree.select.options) == len(labels) + 1
    tree.page.value = 20
    assert chosen[-1] == 950 and tree.page.max == 20
    assert [label.strip()[2:] for label, _ in tree.select.options[:4]] == ["m950", "t950.0", "t950.1", "m951"]


def test_the_slider_hides_what_was_not_valid_in_a_world(explorer: Any, shell: Any) -> None:
    name = explorer.code.filter.value
    before = explorer.code.world.max
    run(shell, f"explored_{int(name.rpartition('_')[2]) - 1000} = 77")
    explorer.again.click()
    explorer.code.only.value = True
    explorer.code.world.value = explorer.code.world.max
    assert explorer.code.world.max > before and explorer.code.tree.select.options == ()
    explorer.code.world.value = before
    assert f"valid in world {before}" in rows(explorer)[2]
    assert name in str(explorer.rows["Invalidations"].table().rows)


def test_the_static_twin(explorer: Any, tmp_path: Path) -> None:
    shown = explorer._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} <= set(shown)
    assert 'scope="col"' in shown["text/html"]
    assert explorer.code.filter.value in explorer.to_html(tmp_path / "twin.html").read_text(encoding="utf-8")


def test_reports_and_traces_have_all_faces(explorer: Any, shell: Any, tmp_path: Path) -> None:
    run(shell, "import aotnb")
    for what in (
        "aotnb.traces()['explored']",
        "aotnb.roots()",
        "aotnb.roots(growth=True)",
        "aotnb.stragglers()",
        "aotnb.status()",
    ):
        record = run(shell, what + ";")
        record = shell.user_ns["_"] if record is None else record
        assert record.plot().axes and record.to_html(tmp_path / "page.html").exists()
        assert len(record.frame) == len(record.explore().table().rows)
    costs = run(shell, f"aotnb.save({str(tmp_path / 'costs.aot')!r}, aotnb.traces()['explored'])")
    loaded = run(shell, f"aotnb.load({str(tmp_path / 'costs.aot')!r})")
    assert costs.plot().axes[0].patches and loaded.jit_seconds > 0
