"""ONNX files as programs, read without the ``onnx`` package and without their weights."""
