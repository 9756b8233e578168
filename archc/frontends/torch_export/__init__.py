"""Exported programs of torch: files, read as zip and JSON with nothing executed, and live ones."""
