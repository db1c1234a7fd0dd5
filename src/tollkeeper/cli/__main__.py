"""Lets ``python -m tollkeeper.cli`` do what the command ``tollkeeper`` does."""

from tollkeeper.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
