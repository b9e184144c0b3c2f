"""Lets the tests here import the programs beside them, as `python tests/guarantees/run.py` does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
