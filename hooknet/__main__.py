"""``python -m hooknet``."""

from hooknet.cli.main import main

main()
