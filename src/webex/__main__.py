"""`python -m webex`: the `webex` command without its script."""

from webex.cli import main

if __name__ == "__main__":
    main()
