"""Every error that the SDK raises, in one tree.

WebexError
├── ConfigurationError                 a setting is missing, wrong or contradicts another
│   ├── MissingExtraError              a package of an optional part is not installed (also an ImportError)
│   └── UnknownArgumentError           a call has no such argument (also a TypeError)
├── ApiError                           the cloud answered a request with an error status
│   ├── BadRequestError                400, and 4xx without a class of their own
│   │   ├── AuthenticationError        401
│   │   ├── PermissionDeniedError      403
│   │   ├── NotFoundError              404
│   │   ├── MethodNotAllowedError      405
│   │   ├── RequestTimeoutError        408
│   │   ├── ConflictError              409
│   │   ├── GoneError                  410; a file that was found infected
│   │   ├── PreconditionFailedError    412
│   │   ├── PayloadTooLargeError       413
│   │   ├── UnsupportedMediaTypeError  415
│   │   ├── LockedError                423; a file that is still being scanned
│   │   ├── PreconditionRequiredError  428; a file that cannot be scanned
│   │   ├── RateLimitError             429
│   │   └── UnavailableForLegalReasonsError  451
│   └── ServerError                    500, and 5xx without a class of their own
│       ├── BadGatewayError            502
│       ├── ServiceUnavailableError    503
│       └── GatewayTimeoutError        504
├── OAuthError                         an authorization or token endpoint said no
│   ├── InvalidRequestError, InvalidClientError, InvalidGrantError, UnauthorizedClientError,
│   │   UnsupportedGrantTypeError, InvalidScopeError                                  RFC 6749 §5.2
│   ├── AccessDeniedError, UnsupportedResponseTypeError, OAuthServerError,
│   │   TemporarilyUnavailableError                                                   RFC 6749 §4.1.2.1
│   └── AuthorizationPendingError, SlowDownError, DeviceCodeExpiredError              RFC 8628 §3.5
├── LoginError                         a sign-in could not be finished: its state is forged, used, expired or foreign
│   └── IdTokenError                   the ID token does not prove who signed in
├── NotSignedInError                   no token is stored for this user
├── ReauthorizationRequiredError       the stored token can no longer be refreshed; the user has to sign in again
├── TransportError                     no answer came
│   ├── ConnectError                   no connection was made: the request was certainly not processed
│   │   └── ConnectDeadlineError       because the time for the call ran out (also a DeadlineError)
│   ├── DeadlineError                  the time for the call ran out (also a TimeoutError)
│   ├── ResponseTooLargeError          an answer was larger than its limit
│   └── RedirectError                  too many redirects, or one that may not be followed
├── DecodeError                        an answer came that cannot be read
├── FileError                          a file can't be sent or saved (too large, unreadable, not rewindable)
├── StorageError                       the storage failed
│   └── MissingKeyError                the key is not there (also a KeyError)
├── SignatureError                     a webhook's signature does not match its body
├── DecryptionError                    an encrypted value can't be opened
├── EncryptionError                    there is no key to encrypt with; nothing was sent
├── KMSError                           the key service refused, or can't be trusted
│   ├── KMSIdentityError               it does not prove to be the key service of its name
│   ├── KMSTimeoutError                it did not answer in time (also a TimeoutError)
│   └── KeyRevokedError                the key was revoked
└── RealtimeError                      events can't be received, and trying again will not help
    ├── ConnectionReplacedError        another process uses the same device
    └── SlowConsumerError              events came faster than they were taken

No message, attribute or repr holds a token, code, key, secret or cookie.
"""

from __future__ import annotations

from webex.errors.api import (
    ApiError,
    AuthenticationError,
    BadGatewayError,
    BadRequestError,
    ConflictError,
    GatewayTimeoutError,
    GoneError,
    LockedError,
    MethodNotAllowedError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    PreconditionFailedError,
    PreconditionRequiredError,
    RateLimitError,
    RequestInfo,
    RequestTimeoutError,
    ServerError,
    ServiceUnavailableError,
    UnavailableForLegalReasonsError,
    UnsupportedMediaTypeError,
    api_error_class,
)
from webex.errors.base import (
    ConfigurationError,
    MissingExtraError,
    UnknownArgumentError,
    WebexError,
)
from webex.errors.common import (
    ConnectDeadlineError,
    ConnectError,
    DeadlineError,
    DecodeError,
    FileError,
    IdTokenError,
    LoginError,
    MissingKeyError,
    NotSignedInError,
    ReauthorizationRequiredError,
    RedirectError,
    ResponseTooLargeError,
    SignatureError,
    StorageError,
    TransportError,
)
from webex.errors.encrypted import (
    ConnectionReplacedError,
    DecryptionError,
    EncryptionError,
    KeyRevokedError,
    KMSError,
    KMSIdentityError,
    KMSTimeoutError,
    RealtimeError,
    SlowConsumerError,
)
from webex.errors.oauth import (
    AccessDeniedError,
    AuthorizationPendingError,
    DeviceCodeExpiredError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuthError,
    OAuthServerError,
    SlowDownError,
    TemporarilyUnavailableError,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
    UnsupportedResponseTypeError,
    oauth_error_class,
)

__all__ = [
    "AccessDeniedError",
    "ApiError",
    "AuthenticationError",
    "AuthorizationPendingError",
    "BadGatewayError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ConnectDeadlineError",
    "ConnectError",
    "ConnectionReplacedError",
    "DeadlineError",
    "DecodeError",
    "DecryptionError",
    "DeviceCodeExpiredError",
    "EncryptionError",
    "FileError",
    "GatewayTimeoutError",
    "GoneError",
    "IdTokenError",
    "InvalidClientError",
    "InvalidGrantError",
    "InvalidRequestError",
    "InvalidScopeError",
    "KMSError",
    "KMSIdentityError",
    "KMSTimeoutError",
    "KeyRevokedError",
    "LockedError",
    "LoginError",
    "MethodNotAllowedError",
    "MissingExtraError",
    "MissingKeyError",
    "NotFoundError",
    "NotSignedInError",
    "OAuthError",
    "OAuthServerError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "PreconditionRequiredError",
    "RateLimitError",
    "RealtimeError",
    "ReauthorizationRequiredError",
    "RedirectError",
    "RequestInfo",
    "RequestTimeoutError",
    "ResponseTooLargeError",
    "ServerError",
    "ServiceUnavailableError",
    "SignatureError",
    "SlowConsumerError",
    "SlowDownError",
    "StorageError",
    "TemporarilyUnavailableError",
    "TransportError",
    "UnauthorizedClientError",
    "UnavailableForLegalReasonsError",
    "UnknownArgumentError",
    "UnsupportedGrantTypeError",
    "UnsupportedMediaTypeError",
    "UnsupportedResponseTypeError",
    "WebexError",
    "api_error_class",
    "oauth_error_class",
]
