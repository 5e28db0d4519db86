"""The commands of `aiops`, a module for each panel of its help; the work is done in the modules they call."""
