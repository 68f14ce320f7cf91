"""People who sign in with Webex as users of `django.contrib.auth`.

INSTALLED_APPS += ["webex.web.django", "webex.web.django.users"]
WEBEX_SESSION = "framework"
WEBEX_USERS = "create"

The rule: a person is found by the key of the account alone, the UUID at Webex. One without an account gets a new user
(`"create"`), or is refused (`"existing"`, the default). Addresses are never compared, so that an address that a person
has, or only claims, gives no one's account away. A user who is logged in connects an account by a POST to `connect`.
"""

from __future__ import annotations
