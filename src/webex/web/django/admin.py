"""The admin page of the people who are signed in, where they can be signed out. It shows no token."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin, messages
from django.contrib.admin.models import DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path

from webex.auth.users import UserFilter, ends_at, matching
from webex.errors import StorageError
from webex.runtime import drive_iter
from webex.view import app_of
from webex.web.django import conf
from webex.web.django.models import SignedInPerson

if TYPE_CHECKING:
    from webex.auth.store import Record

    class ModelAdmin:
        """The part of Django's class that is used here: Django has no types."""

        model: Any
        opts: Any
        admin_site: Any

        def has_view_permission(self, request: Any, obj: Any = None) -> bool:
            """Whether the user may see the page."""
            raise NotImplementedError

        def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
            """Whether the user may sign people out."""
            raise NotImplementedError

else:
    from django.contrib.admin import ModelAdmin

SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Person:
    """A row of the page."""

    key: str
    name: str
    email: str
    since: datetime | None  # the last sign-in or refresh
    until: datetime | None  # when the person has to sign in again, unless something is refreshed
    scopes: str
    refused: bool  # Webex no longer accepts the refresh token


class SignedInPeople(ModelAdmin):
    """Lists the people of the integration, and signs them out."""

    change_list_template: ClassVar[str] = "admin/webex/signedinperson/change_list.html"

    def has_add_permission(self, request: Any) -> bool:
        """People sign in themselves."""
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        """Nothing can be changed here."""
        return False

    def get_urls(self) -> list[Any]:
        """Return the one page that there is."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name=f"{self.opts.app_label}_{self.opts.model_name}_changelist")]

    def changelist_view(self, request: Any, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the people, or sign those out who are chosen."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._sign_out(request)
        asked = request.GET.get("q", "").strip()
        found: list[Person] = []
        problem = ""
        try:
            found = list(itertools.islice(_people(asked.lower()), SHOWN + 1))
        except StorageError as error:  # one that can't list its keys, too
            problem = str(error)
        context = {
            **self.admin_site.each_context(request),
            "title": "Signed-in people",
            "opts": self.opts,
            "people": found[:SHOWN],
            "has_more": len(found) > SHOWN,
            "asked": asked,
            "problem": problem,
            "may_sign_out": self.has_delete_permission(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.change_list_template, context)

    def _sign_out(self, request: Any) -> Any:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        keys = request.POST.getlist("key")
        for key in keys:
            conf.integration().sign_out(key)
            LogEntry.objects.log_actions(request.user.pk, [SignedInPerson(key=key)], DELETION, "Signed out.")
        messages.success(request, f"Signed out: {len(keys)}.")
        return HttpResponseRedirect(request.get_full_path())


def _people(asked: str) -> Iterator[Person]:
    for key, record in drive_iter(matching(app_of(conf.integration()).store, UserFilter())):
        person = _described(key, record)
        if not asked or any(asked in text.lower() for text in (person.key, person.name, person.email)):
            yield person


def _described(key: str, record: Record) -> Person:
    return Person(
        key,
        str(record.person.get("display_name") or ""),
        str(record.person.get("email") or ""),
        _moment(record.tokens.issued_at),
        _moment(ends_at(record)),
        " ".join(record.scopes),
        record.refused is not None,
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


admin.site.register(SignedInPerson, SignedInPeople)
