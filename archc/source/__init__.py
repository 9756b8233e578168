"""What someone wrote: text with places, the strict YAML reader, checks, diagnostics."""
