"""Texts for errors and warnings."""

import re
from collections.abc import Mapping
from typing import Any

_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")


def without_password(text: str) -> str:
    """Return a text in which addresses have no name of a user and no password."""
    return _PASSWORD.sub("", text)


def shorten(value: Any, limit: int = 160) -> str:
    """Return a value as text on one line of at most `limit` characters.

    Of a longer text the beginning and the end are kept: an error that repeats a line of millions of
    fields hides what is wrong. Passwords in addresses are left out.
    """
    # Without the first cut, splitting a huge text would take seconds.
    text = str(value)
    half = (limit - 5) // 2
    if len(text) > 20 * limit:
        text = f"{text[: 10 * limit]} ... {text[-10 * limit :]}"
    text = without_password(" ".join(text.split()))
    return text if len(text) <= limit else f"{text[:half]} ... {text[-half:]}"


def describe_classes(classes: Mapping[str, int], limit: int = 20) -> str:
    """Return the names and labels of classes as text on one line: "cat 0, dog 1, and 7 more"."""
    by_label = sorted(classes, key=classes.__getitem__)
    texts = [f"{shorten(name, 40)} {classes[name]}" for name in by_label[:limit]]
    more = len(classes) - len(texts)
    return ", ".join(texts) + (f", and {more} more" if more else "")


def reason_with_path(path: str, error: Exception) -> str:
    """Return what was wrong with a file, on one line, with its path."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, OSError) and error.filename and error.filename != path:
        text = f"{error.filename}: {text}"
    if not isinstance(error, (OSError, ValueError)):
        text = f"{type(error).__name__}: {text}"
    text = shorten(text, 300)
    path = without_password(path)
    return text if path in text else f"{path}: {text}"
