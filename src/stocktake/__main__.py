"""`python -m stocktake`: the same command line as `stocktake`."""

from stocktake.cli import main

if __name__ == "__main__":
    main()
