"""Sphinx configuration; built with -W, so a broken reference is an error."""

from importlib.metadata import version as _version

project = "aotnb"
author = "The aotnb contributors"
copyright = "2026, The aotnb contributors"  # noqa: A001  Sphinx's name
release = _version("aotnb")
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = "aotnb"
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}
html_show_sourcelink = False
