"""The terminal."""

import sys

try:
    from tollkeeper.cli.main import main
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] == "tollkeeper":
        raise
    _missing = error.name

    def main() -> None:
        """Say what to install: the command comes with every install, what it needs with the extra ``server``."""
        sys.exit(f"tollkeeper: {_missing} is not installed. Run: pip install 'tollkeeper[server]'")


__all__ = ["main"]
