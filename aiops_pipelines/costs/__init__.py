"""What a system costs and why that grew: prices of calls, growth of spend, one file per saving lever."""
