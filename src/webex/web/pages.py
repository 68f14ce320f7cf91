"""Pages of the sign-in: what went wrong, which setting to change, and the way on; the sign-out.

Plain HTML without scripts; every value is escaped, and no code, token or secret is on it.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass, replace
from html import escape
from typing import Final

from webex.errors import (
    AccessDeniedError,
    ApiError,
    ConfigurationError,
    IdTokenError,
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    LoginError,
    NotSignedInError,
    OAuthError,
    ReauthorizationRequiredError,
    StorageError,
    TransportError,
    UnauthorizedClientError,
    WebexError,
)
from webex.web.messages import WebResponse

_STYLE: Final = """
:root{--ink:#11181c;--soft:#5b6770;--line:#dfe4e8;--page:#f3f5f7;--card:#fff;--key:#0a66c2;--key-ink:#fff;--tint:#eef4fb}
@media(prefers-color-scheme:dark){:root{--ink:#eef2f5;--soft:#9aa7b1;--line:#2d363d;--page:#0f1417;--card:#181f24;
--key:#5aa9ff;--key-ink:#06121f;--tint:#1c2a38}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;grid-template-columns:minmax(0,1fr);place-items:center;
padding:clamp(.75rem,4vw,1.5rem);background:var(--page);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:32rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;
padding:clamp(1.25rem,6vw,2rem);
box-shadow:0 1px 2px rgb(0 0 0/5%),0 12px 32px rgb(0 0 0/7%)}
h1{margin:0 0 .5rem;overflow-wrap:anywhere;font-size:1.45rem;line-height:1.25;letter-spacing:-.01em}
p{margin:0 0 1rem;color:var(--soft);overflow-wrap:anywhere}
.hint{padding:.85rem 1rem;border-radius:.7rem;background:var(--tint);color:var(--ink)}
.hint b{display:block;font-size:.8rem;color:var(--soft);font-weight:600}
a,button{display:inline-block;padding:.7rem 1.1rem;border:0;border-radius:.7rem;background:var(--key);
color:var(--key-ink);font:inherit;font-weight:600;text-decoration:none;cursor:pointer}
.plain{padding:0;background:none;color:var(--key)}
.back{margin:1.25rem 0 0}
:focus-visible{outline:3px solid var(--key);outline-offset:2px}
code{font:.85em ui-monospace,monospace}
""".strip()
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What a page tells. `setting` names what the app's developer has to change, where it is the app's fault."""

    status: int
    title: str
    text: str
    setting: str | None = None


_BEGIN_AGAIN: Final = "Nothing was lost: begin the sign-in again."


def explain(error: WebexError) -> Problem:
    """Return the text for an error of the sign-in."""
    if isinstance(error, AccessDeniedError):
        return Problem(403, "You did not allow it", "Without your consent this app can't act for you.")
    if isinstance(error, IdTokenError):
        return Problem(
            502,
            "Webex's answer could not be trusted",
            str(error),
            "environment, and the clock of this machine: the ID token's issuer, audience and times must fit.",
        )
    if isinstance(error, LoginError):
        return _explain_login(error)
    if isinstance(error, OAuthError):
        return _explain_oauth(error)
    if isinstance(error, NotSignedInError):
        return Problem(401, "You are not signed in", "Sign in with Webex to go on.")
    if isinstance(error, ReauthorizationRequiredError):
        return Problem(401, "Please sign in again", "Webex no longer lets this app act for you.")
    if isinstance(error, ConfigurationError):
        return Problem(500, "This app is not set up completely", "The sign-in can't begin.", str(error))
    if isinstance(error, StorageError):
        return Problem(
            503,
            "This app can't reach its storage",
            "Nothing was lost. Try again in a moment.",
            f"storage: {type(error).__name__}. The log of the app says more.",
        )
    if isinstance(error, TransportError):
        return Problem(
            502,
            "Webex can't be reached",
            "No answer came from Webex. Try again in a moment.",
            "WEBEX_EMULATOR_URL, when it is set (is the emulator running?), else proxy and ca_bundle.",
        )
    if isinstance(error, ApiError):
        return Problem(502, "Webex refused a call", f"Webex answered {error.status} while the sign-in was finished.")
    return Problem(500, "The sign-in failed", _BEGIN_AGAIN)


def _explain_login(error: LoginError) -> Problem:
    if error.reason == "browser":
        return Problem(
            400,
            "This sign-in was begun in another browser",
            "Or this browser did not keep its cookie. " + _BEGIN_AGAIN,
            "redirect_uri (WEBEX_REDIRECT_URI): its host must be the one in the address bar, and its scheme https, "
            "except on 127.0.0.1 and localhost.",
        )
    if error.reason == "user":
        return Problem(403, "This account can't sign in here", str(error))
    titles = {
        "expired": "This sign-in took too long",
        "state": "This sign-in is not known here",
        "used": "This sign-in was used already",
    }
    return Problem(400, titles.get(error.reason, "The sign-in could not be finished"), str(error))


def _explain_oauth(error: OAuthError) -> Problem:
    said = f"Webex says: {error}"
    if isinstance(error, InvalidClientError | UnauthorizedClientError):
        return Problem(
            500,
            "Webex does not know this app",
            said,
            "client_id and client_secret (WEBEX_CLIENT_ID, WEBEX_CLIENT_SECRET).",
        )
    if isinstance(error, InvalidGrantError):
        return Problem(
            400,
            "Webex did not accept this sign-in",
            said,
            "redirect_uri (WEBEX_REDIRECT_URI): it must equal the one that is registered for the app.",
        )
    if isinstance(error, InvalidScopeError):
        return Problem(
            500,
            "The app asks for more than it is registered for",
            said,
            "scope (WEBEX_SCOPE), or the app's registration.",
        )
    return Problem(502, "Webex refused this sign-in", said)


def page(problem: Problem, *, link: str, link_text: str) -> WebResponse:
    """Render a page with one button."""
    hint = (
        f'<p class="hint"><b>For the developer of this app: look at</b>{escape(problem.setting)}</p>'
        if problem.setting
        else ""
    )
    text = f"<p>{escape(problem.text)}</p>{hint}"
    made = _page(problem.status, problem.title, f'{text}<a href="{escape(link)}">{escape(link_text)}</a>')
    return replace(made, headers={**made.headers, "retry-after": "5"}) if problem.status == 503 else made


def sign_out_page(action: str, *, home: str) -> WebResponse:
    """Render the logout page: the button that signs out, which a link alone must not do."""
    made = _page(
        405,
        "Sign out?",
        f'<form method="post" action="{escape(action)}"><button>Sign out</button></form>'
        f'<p class="back"><a class="plain" href="{escape(home)}">Back to the app</a></p>',
    )
    # Browsers apply form-action to redirects too, and the app's root may lead to Webex. With no-referrer they would
    # send `Origin: null`.
    policy = made.headers["content-security-policy"].replace("form-action 'self'; ", "")
    changed = {"allow": "POST", "content-security-policy": policy, "referrer-policy": "same-origin"}
    return replace(made, headers={**made.headers, **changed})


def signed_out_page(login: str) -> WebResponse:
    """Render the page that a sign-out leads to."""
    return _page(
        200,
        "You are signed out",
        f'<p>You can close this page.</p><a href="{escape(login)}">Sign in again</a>',
    )


def _page(status: int, title: str, content: str) -> WebResponse:
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{content}</main></body></html>"
    )
    return WebResponse(status, _HEADERS, (), html.encode("utf-8", "replace"))
