"""`python -m boute` is the `boute` command."""

from boute.cli.main import run

if __name__ == "__main__":  # worker processes import this module again under another name
    run()
