"""Programs and modules of the demo image, loaded here as they are in its recipe."""

from types import ModuleType

from tailstest.core.paths import bundled

FOLDER = bundled("images") / "demo/recipe/base/usr/lib/demo"


def demo_program(file: str) -> ModuleType:
    """Return a file of /usr/lib/demo as a new module; its name need not end with ".py".

    It is not imported: that would leave compiled code in the recipe.
    """
    path = FOLDER / file
    module = ModuleType(path.stem)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    return module
