"""What the runner needs to know about Numba's tests: which modules, which parts of them, and which tests may differ.

A test may differ only if it looks at compilation itself: at compile counters, events, cache files, or what the compiler prints.
Those that run a compiler pipeline by themselves, past every dispatcher, stand here as well: their compilations are no question
that an image could answer.
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
    "test_parfors": ["TestParforsMisc", "TestParforBasic", "TestParforNumericalMisc"],
    "test_np_functions": [
        f"TestNPFunctions.test_{name}" for name in ("angle", "angle_return_type", "sinc", "tri_n_basic", "bincount1")
    ],
}

_CACHE = "hits of Numba's disk cache, which is not used"
_SIGNATURES = "the signatures of a function that only compiled code has called; code of an image has it inside"
_OWN_PIPELINE = "runs a compiler pipeline by itself"
_WARNING = "a warning that the compiler prints"
_FREED = "that a function is freed; what was compiled is kept for the next save"
_PRINTS = "what the compiler prints while it compiles"
_INSPECT = "what the compiler prints about code: an image has neither Numba IR nor its names"

# test (without numba.tests.) -> what it looks at
LOOKS_AT_COMPILATION: dict[str, str] = {
    "test_array_exprs.TestOptionals.test_optional_array_type": _SIGNATURES,
    "test_array_exprs.TestOptionals.test_optional_scalar_type": _SIGNATURES,
    "test_array_exprs.TestOptionalsExceptions.test_optional_array_type_exception_on_none": _SIGNATURES,
    "test_array_exprs.TestOptionalsExceptions.test_optional_scalar_type_exception_on_none": _SIGNATURES,
    "test_array_exprs.TestRewriteIssues.test_annotations": _INSPECT,
    **dict.fromkeys(
        (f"test_annotations.TestTypeAnnotation.test_delete{what}" for what in ("", "_extended_lifetimes", "_standard_lifetimes")),
        _INSPECT,
    ),
    "test_array_analysis.TestArrayAnalysisInterface.test_array_analysis_extensions": "how often the compiler calls an analysis",
    "test_codegen.TestWrappers.test_noinline_on_main_call": _INSPECT,
    **dict.fromkeys(
        (
            f"test_comprehension.TestArrayComprehension.test_{name}"
            for name in (
                "comp_nest_with_array_conditional", "comp_nest_with_array_noinline", "comp_with_array_conditional",
                "comp_with_array_noinline", "comp_with_array_noinline_issue_6053", "empty_list_not_removed", "no_array_comp",
                "reuse_of_array_var",
            )
        ),
        _INSPECT,
    ),
    "test_closure.TestInlinedClosure.test_closure_renaming_scheme": "the IR that the compiler kept in the metadata",
    **dict.fromkeys(
        (
            f"test_debug.{name}"
            for name in (
                *(
                    f"TestFunctionDebugOutput.test_dump_{what}"
                    for what in ("assembly", "bytecode", "cfg", "func_opt_llvm", "ir", "llvm", "optimized_llvm")
                ),
                "TestEnvironmentOverride.test_debug", "TestGeneratorDebugOutput.test_dump_ir_generator",
                "TestParforsDebug.test_array_debug_opt_stats",
            )
        ),
        _PRINTS,
    ),
    "test_dispatcher.TestDispatcher.test_serialization": _FREED,
    **dict.fromkeys(
        (
            f"test_event.TestEvent.test_{name}"
            for name in (
                "compiler_lock_event", "global_register", "lifted_dispatcher", "llvm_lock_event", "recording_listener",
                "run_pass_event", "timing_properties",
            )
        ),
        "events of the compiler",
    ),
    "test_fastmath.TestFastMath.test_guvectorize": _PRINTS,
    "test_fastmath.TestFastMath.test_vectorize": _PRINTS,
    **dict.fromkeys(
        (
            f"test_func_lifetime.TestFuncLifetime.test_{name}"
            for name in (
                "global_func_lifetime", "global_func_lifetime_npm", "global_obj_lifetime", "inner_function_lifetime",
                "inner_function_lifetime_npm", "local_func_lifetime", "local_func_lifetime_npm",
            )
        ),
        _FREED,
    ),
    "test_gil.TestGILRelease.test_object_mode": _WARNING,
    "test_dispatcher.TestDispatcherMethods.test_inspect_cfg": _INSPECT,
    "test_dispatcher.TestDispatcherMethods.test_inspect_cfg_with_python_wrapper": _INSPECT,
    "test_dispatcher.TestDispatcherMethods.test_inspect_llvm": _INSPECT,
    "test_dispatcher.TestNoRetryFailedSignature.test_error_count": "how often an overload is asked",
    "test_function_type.TestFunctionType.test_experimental_feature_warning": _WARNING,
    "test_function_type.TestInliningFunctionType.test_inlining_global_dispatcher": "the number of blocks in the optimised IR",
    "test_extending.TestOverloadMethodCaching.test_caching_overload_method": _CACHE,
    "test_dictobject.TestTypedDictInitialValues.test_mutation_not_carried_single_function": _SIGNATURES,
    "test_inlining.TestInlining.test_inline_call_after_parfor": _OWN_PIPELINE,
    "test_inlining.TestInlining.test_inline_call_branch_pruning": _OWN_PIPELINE,
    "test_inlining.TestInlining.test_inner_function": _INSPECT,
    "test_inlining.TestInlining.test_multiple_inner_functions": _INSPECT,
    "test_literal_dispatch.TestLiteralDispatch.test_literal_nested": _SIGNATURES,
    "test_literal_dispatch.TestLiteralDispatch.test_mutual_recursion_literal": _SIGNATURES,
    **dict.fromkeys(
        (f"test_obj_lifetime.TestObjLifetime.test_raising{number}" for number in (1, 2, 3)),
        "the reference count of what a function has read; it is kept for the next save",
    ),
    "test_obj_lifetime.TestExtendingVariableLifetimes.test_dbg_extend_lifetimes": _OWN_PIPELINE,
    "test_obj_lifetime.TestExtendingVariableLifetimes.test_lifetime_basic": _OWN_PIPELINE,
    "test_struct_ref.TestStructRefCaching.test_structref_caching": _CACHE,
    "test_try_except.TestTryExceptParfors.test_try_outside_prange_reduction": _WARNING,
    **dict.fromkeys(
        (
            f"test_llvm_pass_timings.TestLLVMPassTimings{name}"
            for name in (".test_analyze", ".test_usage", "Disabled.test_disabled_behavior")
        ),
        "the times of LLVM's passes, which the compiler kept in the metadata",
    ),
    "test_looplifting.TestLoopLiftingAnnotate.test_annotate_1": _INSPECT,
    "test_looplifting.TestLoopLiftingAnnotate.test_annotate_2": _INSPECT,
    "test_linalg.TestProduct.test_contiguity_warnings": _WARNING,
    "test_withlifting.TestLiftObjCaching.test_objmode_caching_basic": _CACHE,
    "test_withlifting.TestLiftObjCaching.test_objmode_caching_call_closure_bad": _CACHE,
    "test_withlifting.TestLiftObjCaching.test_objmode_caching_call_closure_good": _CACHE,
}  # fmt: skip
