"""Configuration of the documentation site: ``make docs`` builds it with Sphinx.

The theme is pydata-sphinx-theme: readers know it from NumPy, pandas and scikit-learn, its search
works in a site that is opened from disk, and mkdocs-material, the other candidate, is in
maintenance mode. The list of versions is not the theme's: that fetches a JSON file, which a page
opened from disk may not. Links into the documentation of Python or torch (intersphinx) are left
out, because a build would need the network.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

import zoo  # noqa: E402

project = "zoo"
author = "The zoo authors"
project_copyright = author
version = release = zoo.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "outside_pages",
    "reference_modules",
    "reference_records",
]
source_suffix = {".md": "markdown"}
smartquotes = False  # Two hyphens begin an option.
exclude_patterns = ["_*"]
templates_path = ["_templates"]
# Pages are in their place in the navigation before they are written. Sphinx gives this warning no
# type by which `suppress_warnings` could name it.
logging.getLogger("sphinx.sphinx.directives.other").addFilter(
    lambda record: getattr(record, "subtype", "") != "empty_glob"
)

myst_heading_anchors = 4

# Docstrings are in Google style; types come from annotations.
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = False
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

# What is copied of a block with prompts are its commands, without their output.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"

html_theme = "pydata_sphinx_theme"
html_title = f"zoo {version}"
html_static_path = ["_static"]
html_css_files = ["zoo.css"]
html_js_files = ["search-from-disk.js", "version-switcher.js"]
html_copy_source = False
html_show_sourcelink = False
html_context = {"default_mode": "auto"}  # Light or dark as the system is.
html_theme_options = {
    "logo": {"text": "zoo"},
    "navbar_align": "left",
    "navbar_end": ["versions", "theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_toc_level": 2,
}
