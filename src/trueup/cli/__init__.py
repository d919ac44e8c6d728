"""The command line: `build_app` makes it over a program's `Services`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trueup.cli.app import build_app

__all__ = ["build_app"]


def __getattr__(name: str) -> Any:
    """Loads the commands only when somebody asks for them: `trueup.cli.signals` is imported before all else."""
    if name == "build_app":
        from trueup.cli.app import build_app

        return build_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
