"""What may be looked at before a call: text bytes as tokens, and the step's context."""
