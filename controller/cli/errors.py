"""What a person reads when a command fails, and the exit status: 2 for bad usage or bad input, 1 for a failure."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from controller.domain import errors
from emulator.plant import InvalidNetworkError

EXIT_FAILURE = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
_BAD_INPUT = (errors.InvalidRequest, errors.NotFound, errors.AlreadyExists, InvalidNetworkError)


def guarded(main: Callable[[], object]) -> None:
    """Run `main`; turn the errors of our own tree, and of the operating system, into one line on standard error.

    Errors of the command line itself are typer's to print; it leaves with status 2 then.
    """
    try:
        main()
    except (errors.GeysersError, InvalidNetworkError) as error:
        text = error.message if isinstance(error, errors.GeysersError) else str(error)
        sys.stderr.write(f"error: {text}\n")
        sys.exit(EXIT_BAD_INPUT if isinstance(error, _BAD_INPUT) else EXIT_FAILURE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"error: {where}{error.strerror or error}\n")
        sys.exit(EXIT_FAILURE)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def new_app(text: str) -> typer.Typer:
    """A group of commands, all with the same manners."""
    return typer.Typer(
        help=text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
    )
