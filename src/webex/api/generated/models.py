"""Keep the former place of the generated models importable; models that 0.1.0 pickled name it."""

from webex.models.generated import messaging as _messaging
from webex.models.generated.messaging import *  # noqa: F403  # all of them, and nothing else

__all__ = _messaging.__all__
