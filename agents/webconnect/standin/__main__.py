import sys

from agents.webconnect.standin.command import main

sys.exit(main())
