"""From a log to stored turns: sources, decoders, and the ingest loop."""
