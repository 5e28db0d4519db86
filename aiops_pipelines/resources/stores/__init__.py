"""Where an index is published: one file a vector store, behind one protocol."""
