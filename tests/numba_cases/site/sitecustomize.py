"""Put first on the path of each process of a case: counts what the compiler and Numba's cache do, and starts aotnb where asked.

aotnb is started here only where its ``.pth`` file is not installed.
"""

import atexit
import json
import os
import sys

if os.environ.get("AOTNB_IMAGE") and "aotnb.autostart" not in sys.modules:
    from aotnb import autostart

    autostart.start_from_environment()

_out = os.environ.get("CASE_PROBE")
if _out:
    counts = {"compilations": 0, "hits": 0, "refused": 0}

    def _count():
        from numba.core import caching, compiler

        compile_core, load = compiler.CompilerBase._compile_core, caching.Cache._load_overload

        def counted(self):
            result = compile_core(self)
            counts["compilations"] += 1
            return result

        def loaded(self, *args):
            result = load(self, *args)
            counts["hits"] += result is not None
            return result

        compiler.CompilerBase._compile_core = counted
        caching.Cache._load_overload = loaded

    @atexit.register
    def _write():
        if "numba" in sys.modules:
            with open(f"{_out}.{os.getpid()}", "w") as file:
                json.dump(counts, file)

    class _Late:
        """Counts from the first import inside Numba after its compiler and its cache are there."""

        def find_spec(self, name, path=None, target=None):
            modules = [sys.modules.get(f"numba.core.{part}") for part in ("caching", "compiler")]
            if name.startswith("numba.") and hasattr(modules[0], "Cache") and hasattr(modules[1], "CompilerBase"):
                sys.meta_path.remove(self)
                _count()
            return

    sys.meta_path.insert(0, _Late())
