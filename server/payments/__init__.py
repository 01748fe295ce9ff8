"""Payment providers, one per file, behind one promise."""
