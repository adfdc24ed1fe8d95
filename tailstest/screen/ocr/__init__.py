"""OCR engines: each reads the text of a picture, none needs a network."""
