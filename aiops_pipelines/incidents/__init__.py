"""Who knows, and what now: broken limits become signals, signals incidents, with clocks and runbooks."""
