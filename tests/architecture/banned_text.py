"""Words that no file of the tree may hold: paths of one machine, hosts of package registries.

Every pattern is put together from pieces, so that this file does not hold what it bans.
"""

from __future__ import annotations

import re

# A path counts where it starts: not in the middle of a longer one.
_START = r"(?<![\w.$~)}-])"

BANNED_PATTERNS = [
    ("a path of one machine", _START + "/" + r"work/[a-z.]"),
    ("a path of one machine", _START + "/" + r"root/[\w.]"),
    ("a path of one machine", _START + "/" + r"(?:home|Users)/[a-z]+/"),
    ("a path of one machine", _START + "/opt/" + "wheels"),
    ("a path outside the repository", r"\.\./" + "shared"),
    ("a package registry's host", "py" + r"pi\.org"),
    ("a package registry's host", "python" + r"hosted\.org"),
    ("a package registry's host", "crates" + r"\.io"),
    ("a package registry's host", "npm" + r"js\.(?:org|com)"),
    ("a package registry's host", "proxy" + r"\.golang\.org"),
    ("a package registry's host", "(?:deb|security)" + r"\.debian\.org"),
    ("a package registry's host", "repo1?" + r"\.maven"),
    ("an option that names a registry", "--(?:extra-)?index" + "-url|--find" + "-links|--trusted" + "-host"),
]
_COMPILED = [(what, re.compile(pattern)) for what, pattern in BANNED_PATTERNS]


def find_banned_text(content: bytes) -> list[str]:
    """Find banned words in a file's content; a file with a NUL byte is not text and has none."""
    if b"\0" in content:
        return []
    text = content.decode("utf-8", errors="replace")
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group()}"
        for what, pattern in _COMPILED
        for match in pattern.finditer(text)
    ]
