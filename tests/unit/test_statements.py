"""Trace files as text, and the definitions of a script."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aotnb.core.statements import RECOMPILE, Statement, Unreadable, read_statements
from aotnb.mainscript import _without_main_block

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.tuples(TEXTS.filter(lambda t: t and ":" not in t), TEXTS.filter(bool)).map(":".join)
STATEMENTS = st.builds(
    Statement, NAMES, st.lists(TEXTS, max_size=3).map(tuple), TEXTS, st.sampled_from(["function", "ufunc"]), TEXTS
)


@given(st.lists(STATEMENTS, max_size=5, unique=True))
def test_statements_are_read_back_whatever_they_hold(statements: list[Statement]) -> None:
    lines = [f"# 1.5 ms\n{statement}{RECOMPILE * (number % 2)}" for number, statement in enumerate(statements)]
    text = "\n".join(lines)
    ast.parse(text)
    assert list(read_statements(text)) == statements


def test_each_statement_counts_once() -> None:
    text = 'precompile("m:f", ("int64",))\n\nprecompile("m:f", ["int64"])  # recompile\n'
    assert list(read_statements(text)) == [Statement("m:f", ("int64",))]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("f(1)", "no precompile"),
        ("import os", "no precompile"),
        ("precompile('m:f', ()); import os", "no precompile"),
        ("os.precompile('m:f', ())", "no precompile"),
        ("precompile('m:f')", "argument types"),
        ("precompile('m:f', 'int64')", "argument types"),
        ("precompile('m:f', (int64,))", "texts only"),
        ("precompile('m:f', (f'{x}',))", "texts only"),
        ("precompile('m:f', *x)", "argument types"),
        ("precompile('m:f', (), **x)", "keyword"),
        ("precompile('m:f', (), color='red')", "keyword"),
        ("precompile('f', ())", "module:name"),
        ("precompile('m:f', (", "not complete"),
    ],
)
def test_other_lines_are_refused_with_a_reason(line: str, why: str) -> None:
    (found,) = read_statements(f"# a comment\n{line}")
    assert isinstance(found, Unreadable)
    assert found.line == 2
    assert why in found.why


@pytest.mark.parametrize(
    ("test", "kept"),
    [
        ("__name__ == '__main__'", False),
        ("'__main__' == __name__", False),
        ("__name__ == '__main__' and not DEBUG", False),
        ("__name__ != '__main__'", True),
        ("__name__ == 'other'", True),
        ("True", True),
    ],
)
def test_main_blocks_are_left_out(test: str, kept: bool) -> None:
    source = f"DEBUG = False\nran = []\nif {test}:\n    ran.append('main')\nelse:\n    ran.append('else')\n"
    space: dict[str, object] = {"__name__": "__main__"}
    exec(compile(_without_main_block(ast.parse(source)), "script", "exec"), space)
    whole: dict[str, object] = {"__name__": "__main__"}
    exec(source, whole)
    assert space["ran"] == (whole["ran"] if kept else ["else"])


def test_a_script_becomes_the_main_module(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("X = 1")
    (tmp_path / "script.py").write_text("import beside\ndef f(): pass\nif __name__ == '__main__':\n    raise SystemExit(3)\n")
    (tmp_path / "broken.py").write_text("1 / 0")
    code = f"""
        import sys
        from aotnb import mainscript
        from aotnb.errors import AotError
        mainscript.define("{tmp_path}/script.py")
        mainscript.define("{tmp_path}/script.py")
        main = sys.modules["__main__"]
        print(main.f.__module__, main.beside.X, main.__file__ == "{tmp_path}/script.py", main.f.__code__.co_firstlineno)
        for name in ("missing.py", "broken.py"):
            mainscript._replaced.clear()
            try:
                mainscript.define("{tmp_path}/" + name)
            except AotError as error:
                print(error)
        try:
            mainscript.define("{tmp_path}/script.py")
        except AotError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "__main__ 1 True 2"
    assert "cannot be read" in lines[1]
    assert "raised ZeroDivisionError" in lines[2]
    assert "another script" in lines[3]
