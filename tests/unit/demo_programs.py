"""Programs and modules of the demo image, loaded here as they are in its recipe."""

import importlib.util
from importlib.machinery import SourceFileLoader
from types import ModuleType

from tailstest.core.paths import bundled

FOLDER = bundled("images") / "demo/recipe/base/usr/lib/demo"


def demo_program(file: str) -> ModuleType:
    """Return a file of /usr/lib/demo as a new module; its name need not end with ".py"."""
    name = file.removesuffix(".py")
    loader = SourceFileLoader(name, str(FOLDER / file))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module
