"""What was asked and answered: one canonical record a call, out of any log format."""
