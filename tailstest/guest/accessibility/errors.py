"""What can go wrong with the accessibility tree, by whose trouble it is."""

from __future__ import annotations

from tailstest.core.errors import CheckFailed, InfrastructureError, SetupError


class NodeMissing(CheckFailed):
    """No node is as described, or it is not in the state that was waited for."""


class NodeGone(CheckFailed):
    """A node that was found before is not there any more."""


class NodeRefused(CheckFailed):
    """A node is there but cannot do it: not sensitive, not showing, no such action or child."""


class TreeUnavailable(CheckFailed):
    """The session has no accessibility bus, or its programs do not answer."""


class ImageLacksTree(SetupError):
    """The image lacks what looking into its programs needs."""


class TreeHelperFailed(InfrastructureError):
    """Our helper in the guest died, does not answer, or answers nonsense."""
