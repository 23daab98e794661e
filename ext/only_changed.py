"""Write only the pages that changed, and on all cores.

Sphinx writes a page when its source has changed, and would not see that what it refers to has gone,
or has another number or title.  So after each reading what pages show of each other is compared
with what it was, and if anything of it has changed all pages are written.
"""

import hashlib
import os
import re

from docutils import nodes


def plain(value):
    """A text of what other pages can show of it.

    The order of lists, sets and dicts is left out: what is read anew comes last in some.
    """
    if isinstance(value, nodes.Node):  # of a statement or an exercise others show the title
        title = value if isinstance(value, nodes.title) else value.next_node(nodes.title)
        return title.astext() if title is not None else ""
    if hasattr(value, "_asdict"):
        value = {k: v for k, v in value._asdict().items() if k != "line"}
    if isinstance(value, dict):
        return str(sorted((str(k), plain(v)) for k, v in value.items()))
    if isinstance(value, (list, set, frozenset)):
        return str(sorted(map(plain, value)))
    if isinstance(value, tuple):
        return str(tuple(map(plain, value)))
    return re.sub(r" at 0x\w+", "", repr(value))


def shown_elsewhere(env):
    """What pages show of each other, each kind by its hash."""
    kinds = {name: getattr(env, name, None) for name in (
        "titles", "toc_secnumbers", "toc_fignumbers", "proof_list", "sphinx_exercise_registry")}
    kinds["tocs"] = {name: toc.astext() for name, toc in env.tocs.items()}
    kinds |= {f"domain {name}": data for name, data in env.domaindata.items()}
    return {name: hashlib.sha256(plain(value).encode()).hexdigest()
            for name, value in kinds.items()}


def pages_to_write(app, env):
    if hasattr(os, "sched_getaffinity"):  # where Sphinx can fork; reading is not safe for it
        app.parallel = 1 + len(os.sched_getaffinity(0))  # one of them only hands out pages
    before, env.lcn_shown = getattr(env, "lcn_shown", None), shown_elsewhere(env)
    return [] if before == env.lcn_shown else sorted(env.found_docs)


def setup(app):
    app.connect("env-get-updated", pages_to_write, priority=900)  # numbers are given before
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
