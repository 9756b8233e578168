"""A network into text or pictures. Backends know ops, never block types."""
