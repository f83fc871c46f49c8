"""``%load_ext aotnb`` and ``%unload_ext aotnb``: what is put into the shell, and how all of it is taken out again.

All state hangs on the shell's own registry, so ``%reload_ext`` (unload, reload of the top module, load) finds it.
"""

from __future__ import annotations

import copy
import functools
import os
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from aotnb import session, settings
from aotnb.core.words import counted
from aotnb.display.explorer import Widgets
from aotnb.errors import AotError
from aotnb.magics.cells import TracedCells
from aotnb.magics.complete import Completer
from aotnb.magics.keep import Keeper
from aotnb.magics.magics import AotMagics, is_watched
from aotnb.magics.watch import Watcher

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_NAME = AotMagics.__name__


def load(shell: InteractiveShell) -> None:
    """Install the hooks into Numba and the magics into the shell; does nothing the second time."""
    if _NAME in shell.magics_manager.registry:
        return
    first = not session.has_been_active()
    was_active = session.is_active()  # by AOTNB_IMAGE, say: then unloading the magics must not end it
    try:
        session.activate()
    except AotError as error:
        raise UsageError(str(error)) from None
    profile = copy.deepcopy(dict.get(shell.config, _NAME))  # before %config writes into it
    cells = TracedCells(shell)
    completer = Completer(shell)
    watcher = Watcher(shell)
    magics = AotMagics(
        shell,
        cells=cells,
        completer=completer,
        watcher=watcher,
        keeper=Keeper(shell),
        deactivate=not was_active,
        profile=profile,
    )
    shell.register_magics(magics)
    session.set_up_log()
    Widgets.is_watched = staticmethod(functools.partial(is_watched, shell))
    cells.install()
    completer.install()
    watcher.install()
    if first:
        _greet()


def _greet() -> None:
    """Say what somebody who loads the extension had better know; nothing, in most kernels."""
    if early := session.compiled_early():
        came = counted(early, "compilation")
        print(f"aotnb: {came} came before %load_ext aotnb and cannot be saved; restart the kernel and put it first")
    image = settings.get("image")
    if image and os.path.exists(image):
        print(f"aotnb: the image {image} is there; %aot_load loads it")


def unload(shell: InteractiveShell) -> None:
    """Take out magics, events, transformer, completers, and the hooks if loading the extension had installed them."""
    manager = shell.magics_manager
    magics = manager.registry.pop(_NAME, None)
    if magics is None:
        return
    for kind, names in AotMagics.magics.items():
        for name in names:
            manager.magics[kind].pop(name, None)
    shell.configurables[:] = [item for item in shell.configurables if item is not magics]
    magics.cells.uninstall()
    magics.completer.uninstall()
    magics.watcher.uninstall()
    magics.keeper.end()
    Widgets.is_watched = staticmethod(lambda: True)
    settings.forget()
    shell.config.pop(_NAME, None)
    if magics.profile is not None:
        shell.config[_NAME] = magics.profile
    if magics.deactivate:
        session.deactivate()
    else:
        session.set_up_log()
