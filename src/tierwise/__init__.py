"""tierwise: the cheapest model tier that keeps a quality floor, as one ONNX file."""

__version__ = "0.1.0"
