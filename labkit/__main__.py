"""`python -m labkit`: the command line where the script `labkit` is not on the path, and what torchrun starts."""

from labkit.cli import main

if __name__ == "__main__":
    main()
