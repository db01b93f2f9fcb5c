"""`python -m controller` is the `geysers` command."""

from controller.cli.main import run

run()
