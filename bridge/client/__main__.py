"""`python -m bridge.client`: a desktop agent, without the console and without Django."""

import sys

from bridge.client.command import main

sys.exit(main())
