"""`python -m controller` is the `geysers` command."""

from controller.cli.main import run

if __name__ == "__main__":
    run()
