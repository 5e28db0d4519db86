"""Is it healthy now: the weekly sample, quality scores, signals of the users and the frozen baseline."""
