"""What texts of routes a proxy can use: patterns, methods, headers, hosts. A check returns what is wrong, or nothing.

A proxy refuses a whole policy for one text that it cannot read, and answers every request of the Service with 500: so
whatever it would refuse is a problem of the document already.
"""

import re


def pattern_problem(pattern: str) -> str:
    """Say why a pattern cannot be used; proxies know no look-around and no references back."""
    try:
        re.compile(pattern)
    except re.error as error:
        return f"`{pattern}` is not a regular expression: {error}"
    beyond = _BEYOND.search(_ESCAPED_OR_CLASS.sub(_kept, pattern))
    return f"`{pattern}` has `{beyond[0]}`, which proxies do not know" if beyond else ""


def method_problem(method: str) -> str:
    """Say why a text is not an HTTP method."""
    return "" if _TOKEN.fullmatch(method) else f"`{method}` is not an HTTP method"


def header_problem(name: str, value: str = "") -> str:
    """Say why a header cannot be there."""
    if not _TOKEN.fullmatch(name):
        return f"`{name}` is not the name of a header"
    return f"the value of `{name}` has a control character" if _CONTROL.search(value) else ""


def host_problem(pattern: str) -> str:
    """Say why a text is neither a host nor `*.` and a domain."""
    return "" if _HOST.fullmatch(pattern) else f"`{pattern}` is not a host name"


def _kept(match: re.Match[str]) -> str:
    """References back are escapes too; everything else that is escaped or in brackets means itself."""
    return match[0] if match[0][0] == "\\" and match[0][1] in "123456789" else "."


_ESCAPED_OR_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_BEYOND = re.compile(r"\(\?(?:=|!|<=|<!|>|P=|\()[^)]{0,10}|\\[1-9]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
