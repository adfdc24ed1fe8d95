"""behave's own runner and context, where they have to tell more than they do."""

from __future__ import annotations

from typing import Any

from behave.runner import Context, ModelRunner

from tailstest.core.errors import UsageError


class BehaveRunner(ModelRunner):  # type: ignore[misc]
    """behave's runner, which remembers why a nested step failed.

    Attributes:
        failed_step: the last step that failed, nested ones included.
    """

    failed_step: Any = None


class StepContext(Context):  # type: ignore[misc]
    """The context of steps; a nested step fails with the error that it really had.

    behave turns every failure of a nested step into an AssertionError, so that a full disk would
    look like a failure of the product.
    """

    def execute_steps(self, steps_text: str) -> bool:
        """Run steps as if they stood in the feature.

        Raises:
            UsageError: one of them is not defined.
            Exception: whatever a nested step raised.
        """
        runner = self._runner
        runner.failed_step = None
        try:
            return bool(super().execute_steps(steps_text))
        except AssertionError as error:
            failed = runner.failed_step
            if failed is not None and failed.exception is not None:
                raise failed.exception from None
            text = str(error).splitlines()[0]
            raise UsageError(
                f"a step that this step calls cannot run: {text}",
                hint="`tailstest steps` lists all steps",
            ) from None
