"""The picture: memory at one moment as one self-contained SVG."""
