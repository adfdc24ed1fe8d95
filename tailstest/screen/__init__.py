"""Frames, reference images, matching, OCR, waiting."""
