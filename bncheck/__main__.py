"""``python -m bncheck`` and the console script."""

from bncheck.cli.main import main

if __name__ == "__main__":
    main()
