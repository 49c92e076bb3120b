"""A hook of MkDocs: on the site, which has docs/ alone, links to other files become the names of these."""

import posixpath
import re

OUTSIDE = re.compile(r"!?\[([^\]]*)\]\(((?:\.\./|proxies/|examples/)[^)\s]*)\)")


def on_page_markdown(markdown, page, **_):
    """Return a page without links to what the site does not have."""
    return OUTSIDE.sub(lambda link: _named(link, posixpath.dirname(page.file.src_uri)), markdown)


def _named(link, directory):
    if link[0].startswith("!"):
        return ""
    path = posixpath.normpath(posixpath.join("docs", directory, link[2]))
    return link[1] if link[1].strip("`") == path else f"{link[1]} (`{path}`)"
