"""``python -m trueup`` is the `trueup` command."""

from trueup.bootstrap import main

main()
