"""Models that others wrote, as networks: exported programs, ONNX files, torch modules."""
