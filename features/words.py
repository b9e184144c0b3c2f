"""What a word is, in bytes: all that a gateway needs of the token ids to say which word did what.

A word is a run of letters, of digits or of punctuation; an upper-case letter after a lower-case
one starts a new one. `tokens` turns words into ids, with what is defined here.
"""

from __future__ import annotations

import re

TOKEN = re.compile(rb"[A-Za-z\x80-\xff]+|[0-9]+|[!-/:-@\[-`{-\x7f]+")
HUMP = re.compile(rb"(?<=[a-z])(?=[A-Z])")

_CASES = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_CASES |= {tail: tail + 32 for tail in range(0x80, 0xA0)}  # two-byte letters differ in this bit
_CASES |= {0xCF: 0xCE, 0xD1: 0xD0}  # the Greek and the Cyrillic alphabet straddle two lead bytes
FOLD = bytes(_CASES.get(byte, byte) for byte in range(256))
"""A byte's lower case, for `bytes.translate`."""
