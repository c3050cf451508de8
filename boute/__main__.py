"""`python -m boute` is the `boute` command."""

from boute.cli.main import run

run()
