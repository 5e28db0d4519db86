"""What a system can find: chunks, index versions, retrieval quality and freshness."""
