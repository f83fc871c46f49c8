"""What the runner needs to know about Numba's tests: which modules, which parts of them, and which tests may differ.

A test may differ only if it looks at compilation itself: at compile counters, events, cache files, or what the compiler prints.
"""

from __future__ import annotations

MODULES = [
    "test_dispatcher", "test_array_exprs", "test_array_manipulation", "test_closure", "test_tuples", "test_typedlist",
    "test_dictobject", "test_jitclasses", "test_recursion", "test_unicode", "test_exceptions", "test_record_dtype",
    "test_stencils", "test_parfors", "test_ufuncs", "test_extending", "test_function_type", "test_withlifting",
    "test_generators", "test_linalg", "test_random", "test_np_functions",
]  # fmt: skip

# of modules that take very long, the classes that are run
PARTS: dict[str, list[str]] = {
    "test_parfors": ["TestParforsMisc", "TestParforBasic", "TestParforNumericalFunctions"],
    "test_np_functions": ["TestNPFunctions.test_angle_basic"],
}

# test (without numba.tests.) -> what it looks at
LOOKS_AT_COMPILATION: dict[str, str] = {
    "test_closure.TestInlinedClosure.test_closure_renaming_scheme": "the IR that the compiler kept in the metadata",
    "test_function_type.TestFunctionType.test_experimental_feature_warning": "a warning that the compiler prints",
    "test_function_type.TestInliningFunctionType.test_inlining_global_dispatcher": "the number of blocks in the optimised IR",
}
