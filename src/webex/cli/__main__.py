"""`python -m webex.cli`: the `webex` command without its script."""

from webex.cli import main

main()
