"""The one entry of stemo: ``python main.py --help``."""

from stemo.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
