// Rooms: the list, and the conversation of one room as one of its members sees it.

import { cardsOf } from "./cards.js";
import { act, attempt, badge, bytes, copy, count, empty, face, field, fold, form, get, h, heading, json, moment, select, sync } from "./ui.js";

const VERBS = {
  create: "created the room", add: "added", leave: "removed", update: "changed the room", lock: "locked the room", unlock: "unlocked the room",
  assignModerator: "made a moderator of", unassignModerator: "took moderation from", acknowledge: "has read up to here", delete: "deleted a message",
  tombstone: "wrote something that was deleted", hide: "hid the room", unhide: "shows the room again", cardAction: "submitted a card", share: "shared",
};

export function rooms(path, refresh) {
  let chosen = path[0] ?? "";
  let viewer = "";
  let drawn = "";
  const list = h("nav", { class: "room-list card", "aria-label": "All rooms" });
  const pane = h("div");
  const both = h("div", { class: "rooms" }, list, pane);
  const opener = h("details", {}, h("summary", {}, "New room"));
  const people = h("div");
  opener.append(people);
  const page = {
    topics: ["state"],
    element: [heading("Rooms", "Conversations, decrypted, beside what clients receive.", opener), both],
    go(rest) {
      chosen = rest[0] ?? "";
      viewer = "";
    },
    async load() {
      const [all, accounts] = await Promise.all([get("rooms"), get("people")]);
      const id = chosen || (matchMedia("(min-width: 761px)").matches ? all[0]?.id : "");
      const known = all.some((room) => room.id === id);
      return { all, accounts, room: known ? await get("room", { id, as: viewer }) : null };
    },
    draw({ all, accounts, room }) {
      both.classList.toggle("open", room !== null);
      const marked = all.map((each) => ({ ...each, current: each.id === room?.id }));
      sync(list, marked, (each) => each.id, (each) =>
        h("a", { href: `#/rooms/${each.id}`, "aria-current": each.current ? "true" : null }, each.title,
          h("small", {}, `${count(each.messages, "message")} · ${count(each.members, "member")}`)), "There is no room yet.");
      if (!people.firstChild && accounts.length) people.append(newRoom(accounts));
      if (!room) {
        drawn = "";
        pane.replaceChildren(all.length ? empty("Choose a room.") : "");
        return;
      }
      const { activities, ...head } = room;
      const mark = JSON.stringify(head);
      if (mark !== drawn) {
        const typed = pane.querySelector("textarea[name=markdown]")?.value ?? "";
        const author = pane.querySelector("select[name=person]")?.value;
        const same = pane.dataset.room === room.id;
        const feed = [...(pane.querySelector(".feed")?.children ?? [])];
        pane.replaceChildren(roomCard(room, viewer, (id) => { viewer = id; refresh(); }, refresh));
        if (same) pane.querySelector(".feed").append(...feed); // what is typed or open in them stays
        if (same) pane.querySelector("textarea[name=markdown]").value = typed;
        if (same && author) pane.querySelector("select[name=person]").value = author;
        pane.dataset.room = room.id;
        drawn = mark;
      }
      sync(pane.querySelector(".feed"), activities, (each) => each.id, (each) => activity(each, room.members), "Nothing was said here yet.");
    },
  };
  return page;
}

function newRoom(accounts) {
  const names = accounts.filter((each) => each.kind === "person" || each.kind === "bot");
  return form(
    [field("title", "Title", { placeholder: "empty: a direct room" }), select("person", "Made by", names.map((each) => [each.id, each.name])),
      field("members", "Members, by email", { placeholder: "bob@example.com" })],
    "Create",
    (data) => act("add_room", { title: data.title, person: data.person, members: data.members.split(/[\s,]+/).filter(Boolean) })
      .then((id) => { location.hash = `#/rooms/${id}`; }));
}

function roomCard(room, viewer, look, refresh) {
  const seen = h("select", { "aria-label": "Seen by", onchange: (event) => look(event.target.value) },
    h("option", { value: "" }, "everything"), room.members.map((each) => h("option", { value: each.id }, `as ${each.name} sees it`)));
  seen.value = viewer;
  const write = form(
    [h("textarea", { name: "markdown", rows: 2, required: true, placeholder: "Markdown", "aria-label": "Message" }),
      h("div", {}, select("person", "Post as", room.members.map((each) => [each.id, each.name])))],
    "Post",
    (data) => act("post", { room: room.id, person: data.person, markdown: data.markdown }).then(() => refresh()),
    { kind: "write" });
  return h("section", { class: "card" },
    h("a", { class: "back small", href: "#/rooms" }, "‹ All rooms"),
    h("div", { class: "line" }, h("h2", { class: "grow" }, room.title), badge(room.type), room.locked ? badge("locked", "warn") : null,
      copy(room.public_id, "Copy id"), seen),
    h("p", { class: "lead small" }, room.members.map((each) => each.name + (each.moderator ? " (moderator)" : "")).join(", ")),
    room.more ? h("p", { class: "lead small" }, `${room.more} earlier activities are not shown.`) : null,
    h("div", { class: "feed" }), write);
}

function activity(each, members) {
  const raw = fold("raw", async () => {
    const found = await get("activity", { id: each.id });
    return h("div", { class: "cols" },
      h("div", {}, h("span", { class: "soft small" }, "as clients receive it"), copy(JSON.stringify(found.raw, null, 2)), json(found.raw)),
      h("div", {}, h("span", { class: "soft small" }, "opened"), json(found.opened),
        found.message ? [h("span", { class: "soft small" }, "GET /v1/messages/{messageId}"), json(found.message)] : null));
  }, { class: "raw" });
  raw.dataset.name = each.id;
  const by = each.by?.name ?? "A deleted account";
  if (!each.message) {
    const words = each.parent?.type === "edit" ? "edited a message" : each.object === "reaction2" ? "reacted with" : VERBS[each.verb] ?? each.verb;
    return h("div", { class: "act note" }, moment(each.time), ` ${by} ${words} ${each.about ?? ""} `, raw);
  }
  const message = each.message;
  return h("article", { class: `act ${each.parent?.type === "reply" ? "reply" : ""}` },
    face(by, each.by?.id),
    h("div", { class: "who" }, by, h("small", {}, moment(each.time)),
      each.by?.kind === "bot" ? badge("bot", "key") : null, each.encrypted ? badge("encrypted", "good") : null,
      message.edits ? h("small", {}, "edited") : null),
    h("div", {},
      message.html ? frame(message) : message.text ? h("div", { class: "text" }, message.text) : null,
      message.cards ? cards(each, members) : null,
      message.files.map((file) => h("a", { class: "attached", href: `/_console/file?id=${encodeURIComponent(file.id)}`, download: file.name },
        file.picture ? h("img", { class: "thumb", alt: "", src: `/_console/file?show=1&id=${encodeURIComponent(file.id)}` }) : null,
        file.name, h("span", { class: "soft" }, bytes(file.size)))),
      raw));
}

/** The cards of a message, drawn once they are read. */
function cards(each, members) {
  const place = h("div", {}, h("span", { class: "attached" }, count(each.message.cards, "card")));
  attempt(async () => {
    const { message } = await get("activity", { id: each.id });
    const contents = (message?.attachments ?? []).map((attachment) => attachment.content);
    place.replaceChildren(cardsOf({ public_id: message.id, author: each.by?.id, contents }, members));
  });
  return place;
}

/** A message's html in a frame that runs no script, as tall as what it holds. */
function frame(message) {
  const element = h("iframe", {
    sandbox: "allow-same-origin", title: "The message's html", referrerpolicy: "no-referrer",
    src: `/_console/html?id=${encodeURIComponent(message.id)}&edit=${message.edits}`,
  });
  const fit = () => {
    const body = element.contentDocument?.body;
    if (body) element.style.height = `${Math.min(Math.max(body.scrollHeight, 22), 600)}px`;
  };
  element.addEventListener("load", () => {
    fit();
    new ResizeObserver(fit).observe(element);
  });
  return element;
}
