"""Where a corpus comes from: one file a kind of place, behind one protocol."""
