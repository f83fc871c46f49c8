"""Sphinx configuration; built with -W, so a broken reference is an error, and so is a notebook that fails.

The notebooks are executed here, which is their test. What they gave is kept as long as neither they nor the package changes.
"""

import hashlib
import os
import shutil
from importlib.metadata import version as _version
from pathlib import Path

project = "aotnb"
author = "The aotnb contributors"
copyright = "2026, The aotnb contributors"  # noqa: A001  Sphinx's name
release = _version("aotnb")
version = ".".join(release.split(".")[:2])

HERE = Path(__file__).parent
ROOT = HERE.parent
# the first two belong to `make demo`
NOTEBOOKS = [path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if path.name[:2] not in ("01", "02")]


def _copy_notebooks() -> None:
    folder = HERE / "notebooks"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in {notebook.name for notebook in NOTEBOOKS}:
            path.unlink()
    for path in NOTEBOOKS:
        copy = folder / path.name
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            shutil.copy(path, copy)


def _package_digest() -> str:
    found = hashlib.sha256()
    for path in sorted((ROOT / "aotnb").rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


_copy_notebooks()
os.environ["AOTNB_HOME"] = str(HERE / "_build" / "home")  # no image is signed with the key of whoever builds the documentation

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "executed" / _package_digest())
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
nitpicky = False

html_static_path = ["_static"]
html_theme = "pydata_sphinx_theme"
html_title = "aotnb"
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}
html_css_files = ["outputs.css"]
html_sidebars = {"index": [], "tutorial/**": []}
html_show_sourcelink = False
