"""Deprecated names: they keep working, and whoever uses one is told what to use instead.

Public, for zoo and for plugins. docs/concepts/stability.md says how long a deprecated name works.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import TypeVar

from zoo.errors import ZooWarning

T = TypeVar("T", bound=Callable[..., object])


class ZooDeprecationWarning(ZooWarning, FutureWarning):
    """A name that will be removed was used.

    It is a ``FutureWarning`` because Python hides ``DeprecationWarning`` from users. Python and the
    command line show it once for each place that uses the name.
    """


def deprecated(what: str, *, since: str, removed: str, use: str) -> Callable[[T], T]:
    """Return a decorator for a function, a method or a class that will be removed.

    A call of the function, and an instance or a subclass of the class, issues a
    :class:`ZooDeprecationWarning`. It is that of PEP 702: the message is in ``__deprecated__``.

    Args:
        what: What is deprecated, as users know it: ``"zoo_mgu.make()"``.
        since: The version that deprecates it, of the package that has it.
        removed: The version that will not have it any more.
        use: What to use instead.

    Example:
        >>> from zoo.deprecation import deprecated
        >>> @deprecated("area()", since="0.5", removed="0.7", use="size()")
        ... def area() -> int:
        ...     return 6
        >>> area.__deprecated__
        'area() is deprecated since 0.5 and will be removed in 0.7: use size()'
    """
    if sys.version_info >= (3, 13):
        from warnings import deprecated as of_pep_702
    else:  # torch needs this package, too.
        from typing_extensions import deprecated as of_pep_702
    message = _message(what, since, removed, use)
    return of_pep_702(message, category=ZooDeprecationWarning)


def warn_deprecated(
    what: str, *, use: str, since: str = "", removed: str = "", stacklevel: int = 2
) -> None:
    """Issue a :class:`ZooDeprecationWarning` for an argument, an option or a key that was used.

    Args:
        what: What is deprecated, as users know it: ``"argument 'size' of make()"``.
        use: What to use instead.
        since: The version that deprecates it; empty where it is not known.
        removed: The version that will refuse it; empty where it is not known.
        stacklevel: The frame that the warning is shown for: 1 is the one that calls this
            function, 2 the one above it.
    """
    message = _message(what, since, removed, use)
    warnings.warn(message, ZooDeprecationWarning, stacklevel=stacklevel + 1)


def _message(what: str, since: str, removed: str, use: str) -> str:
    started = f" since {since}" if since else ""
    ends = f" and will be removed in {removed}" if removed else ""
    return f"{what} is deprecated{started}{ends}: use {use}"
