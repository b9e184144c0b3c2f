"""Would it be better: controls, metrics, the report and the gate."""
