"""What the commands of `run.py` do, apart from reading the command line."""

from core.cli.client import CliError, ServiceClient

__all__ = ["CliError", "ServiceClient"]
