"""tailstest boots live ISO images in virtual machines and checks what a person would check."""

__version__ = "0.1.0"
