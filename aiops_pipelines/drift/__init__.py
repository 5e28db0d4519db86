"""Did it get worse: comparison with the frozen baseline, verdict, likely causes and what to do about them."""
