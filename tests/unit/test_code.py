"""The raw IR of a library, stored with numbers relative to each other."""

import pytest

from aotnb.image.code import pack_text, unpack_text

FUNCTION = """\
define i64 @"{name}"(ptr %v0, i64 %v1) {{
v2:
  %v3 = icmp slt i64 %v1, 0
  br i1 %v3, label %v4, label %v5
v4:
  %v6 = load i64, ptr %v0, align 8
  br label %v5
v5:
  %v7 = phi i64 [ %v1, %v2 ], [ %v6, %v4 ]
  ret i64 %v7
}}
"""


@pytest.mark.parametrize(
    "text",
    [
        "",
        FUNCTION.format(name="f0"),
        "%vec = type { i64 }\n" + FUNCTION.format(name="f0") + FUNCTION.format(name="f1"),
        r'@text = internal constant [9 x i8] c"%v7 %v007\02"' + "\n" + FUNCTION.format(name="f0"),
        "%v9 %v0 %v9 %v10 %v12 %v3 %v00 %v %v-1 %v13-4 %v13-4 %v123456789012345678901",
        "  %data3.0 = load ptr, ptr @aotnb.data.PyExc_ValueError\n  call void @f(ptr %data3.0, ptr %v2)",
    ],
)
def test_a_text_comes_back_as_it_was(text):
    assert unpack_text(pack_text(text)) == text


def test_equal_instructions_are_stored_alike_wherever_they_stand():
    """A function made of one piece many times over, under numbers that go on, takes hardly more than one piece."""
    pieces = [f"  %v{n} = add i64 %v{n - 1}, 1\n  %v{n + 1} = mul i64 %v{n}, %v{n - 1}\n" for n in range(1, 4001, 2)]
    text = "define i64 @f(i64 %v0) {\n" + "".join(pieces) + "  ret i64 %v4000\n}\n"

    assert len(pack_text(text)) < 1000 < len(text) // 100
    assert unpack_text(pack_text(text)) == text
