"""``python -m lorabot``."""

from lorabot.cli import main

main()
