"""Can we prove it: the tamper-evident audit log, privacy, retention, controls and the compliance report."""
