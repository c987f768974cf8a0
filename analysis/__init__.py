"""Reads records, draws and decides. Never imports fairseq or data preparation."""
