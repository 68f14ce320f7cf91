// Pages about the state of the cloud: overview, people, apps, files, sockets, clock, faults, snapshots.

import {
  act, attempt, badge, button, bytes, copy, count, day, face, facts, field, fold, form, get, h, heading, json, moment, secret,
  select, span, sync,
} from "./ui.js";

const ALL = ["state", "requests", "webhooks", "sockets", "keys", "faults", "clock"];

export function overview() {
  const tiles = h("div", { class: "tiles" });
  const variables = h("div", { class: "card" });
  const names = {
    people: "people", apps: "apps", rooms: "rooms", files: "files", requests: "requests", webhooks: "webhooks", sockets: "open sockets",
    keys: "key requests", faults: "faults set",
  };
  return {
    topics: ALL,
    element: [heading("Overview", "A local Webex cloud. Nothing here leaves this machine."), tiles, variables],
    load: () => get("overview"),
    draw(data) {
      sync(
        tiles,
        Object.entries(names).map(([name, label]) => ({ name, label, count: data.counts[name] })),
        (each) => each.name,
        (each) => h("a", { class: "tile", href: `#/${each.name}` }, h("b", {}, each.count), h("span", {}, each.label)),
      );
      const shown = JSON.stringify(data.env);
      if (variables.dataset.shown === shown) return;
      variables.dataset.shown = shown;
      variables.replaceChildren(
        h("div", { class: "line" },
          h("h2", { class: "grow" }, "Point an app at it"), copy(data.exports, "Copy exports")),
        h("p", { class: "lead small" }, "Paste the exports into a shell; the SDK and your app then talk to this cloud."),
        facts(Object.entries(data.env).map(([name, value]) => [h("code", {}, name), secret(value)])),
      );
    },
  };
}

export function people(_, refresh) {
  const list = h("div");
  const add = form(
    [
      field("email", "Email", { type: "email", required: true, placeholder: "carol@example.com" }),
      field("name", "Name", { placeholder: "Carol Example" }),
      select("kind", "Kind", ["person", "bot"]),
    ],
    "Add",
    (data) => act("add_person", data).then(refresh),
  );
  return {
    topics: ["state", "clock"],
    element: [heading("People", "Accounts and bots, each with the access tokens that are valid now."), list,
      h("h2", { class: "section" }, "Add an account"), h("div", { class: "card" }, add)],
    load: () => get("people"),
    draw: (data) => sync(list, data, (each) => each.id, (each) => personCard(each, refresh)),
  };
}

function personCard(person, refresh) {
  return h("section", { class: "card" },
    h("div", { class: "line" },
      face(person.name, person.id),
      h("div", { class: "grow" }, h("h2", {}, person.name), h("span", { class: "soft small" }, person.email)),
      person.kind !== "person" ? badge(person.kind, "key") : null,
      person.admin ? badge("administrator", "warn") : null,
      person.compliance ? badge("compliance", "warn") : null,
      copy(person.public_id, "Copy id"),
      button("New token", () => attempt(() => act("add_token", { person: person.id }).then(refresh), "A token was added"), { kind: "tiny" })),
    person.tokens.length
      ? h("div", { class: "stack" }, person.tokens.map((token) =>
          h("div", { class: "line token" },
            h("code", { class: "secret", title: token.scopes.join(" ") }, token.value),
            badge(token.app ?? token.kind), h("span", { class: "soft small" }, `until ${day(token.expires)}`), copy(token.value, "Copy token"))))
      : h("p", { class: "lead small" }, "No token is valid now."),
    person.token_count > person.tokens.length
      ? h("p", { class: "lead small" }, `${person.token_count - person.tokens.length} older tokens are not shown.`) : null);
}

export function apps(_, refresh) {
  const list = h("div");
  const add = form(
    [field("name", "Name", { required: true }), field("redirect_uri", "Redirect URI", { placeholder: "http://127.0.0.1:3000/callback" })],
    "Register", (data) => act("add_app", data).then(refresh));
  return {
    topics: ["state"],
    element: [heading("Apps", "Registered integrations, with the redirect URIs that they may sign in with."), list,
      h("h2", { class: "section" }, "Register an app"), h("div", { class: "card" }, add)],
    load: () => get("apps"),
    draw: (data) => sync(list, data, (each) => each.client_id, (each) => appCard(each, refresh)),
  };
}

function appCard(app, refresh) {
  const uris = app.redirect_uris.map((uri) =>
    h("div", { class: "line" }, h("code", { class: "grow" }, uri), copy(uri),
      button("Remove", () => attempt(() => act("remove_redirect_uri", { client_id: app.client_id, uri }).then(refresh)), { kind: "tiny danger" })));
  const add = form(
    [h("input", { name: "uri", placeholder: "http://127.0.0.1:3000/callback", "aria-label": "Redirect URI", autocomplete: "off", required: true })],
    "Add redirect URI",
    (data) => act("add_redirect_uri", { client_id: app.client_id, uri: data.uri }).then(refresh));
  return h("section", { class: "card" },
    h("div", { class: "line" }, h("h2", { class: "grow" }, app.name), badge(app.kind.replace("_", " "), "key"),
      app.any_loopback_port ? badge("any loopback port") : null, app.grants ? badge(count(app.grants, "consent"), "good") : null),
    facts([["Client id", secret(app.client_id)], ["Client secret", app.client_secret ? secret(app.client_secret) : "none: a public client"]]),
    app.kind === "integration" ? h("div", { class: "stack uris" }, h("p", { class: "lead small" }, "Redirect URIs"), uris, add) : null,
    fold(count(app.scopes.length, "scope"), () => h("p", { class: "lead small" }, app.scopes.join("  "))));
}

export function files() {
  const list = h("div", { class: "rows" });
  return {
    topics: ["state"],
    element: [heading("Files", "What was uploaded with messages, decrypted."), list],
    load: () => get("files"),
    draw: (data) => sync(list, data, (each) => each.id, (each) =>
      h("div", { class: "row-item" },
        each.picture ? h("img", { class: "thumb", alt: "", src: `/_console/file?show=1&id=${encodeURIComponent(each.id)}` }) : null,
        h("span", { class: "grow" }, h("a", { href: `/_console/file?id=${encodeURIComponent(each.id)}`, download: each.name }, each.name),
          h("br"), h("span", { class: "soft small" }, [each.type, bytes(each.size), each.by].filter(Boolean).join(" · "))),
        each.room ? h("a", { class: "small", href: `#/rooms/${each.room.id}` }, each.room.title) : null,
        badge(each.scan, each.scan === "clean" ? "good" : "warn")), "No file was uploaded yet."),
  };
}

export function sockets(_, refresh) {
  const list = h("div");
  return {
    topics: ["sockets", "state"],
    element: [
      heading("Sockets", "Registered devices, their open sockets, and the events that no client has acknowledged.",
        button("Close all sockets", () => attempt(() => act("drop").then(refresh), "Closed"), { kind: "danger", sure: "Press again to close" })),
      list],
    load: () => get("sockets"),
    draw: (data) => sync(list, data, (each) => each.id, (each) =>
      h("section", { class: "card" },
        h("div", { class: "line" },
          h("div", { class: "grow" }, h("h2", {}, each.person?.name ?? "A deleted account"),
            h("span", { class: "soft small" }, [each.name, each.type].filter(Boolean).join(" · "))),
          each.sockets ? badge(each.sockets === 1 ? "connected" : count(each.sockets, "socket"), "good") : badge("not connected"),
          each.waiting ? badge(`${each.waiting} unacknowledged`, "bad") : badge("all acknowledged"),
          each.sockets && each.person
            ? button("Close", () => attempt(() => act("drop", { person: each.person.id }).then(refresh), "Closed"), { kind: "tiny danger" }) : null),
        each.frames.length
          ? h("div", { class: "stack" }, each.frames.map((frame) => {
              const line = fold([moment(frame.pushed), " ", h("code", {}, frame.type)], () => json(frame.data));
              line.dataset.name = frame.id;
              return line;
            })) : null), "No device is registered. Devices appear when a client listens."),
  };
}

export function clock(_, refresh) {
  const now = h("div", { class: "bigtime" });
  const state = h("p", { class: "lead" });
  const move = (parameters, label, kind = "") => button(label, () => attempt(() => act("clock", parameters).then(refresh)), { kind });
  const steps = [["1 minute", 60], ["1 hour", 3600], ["12 hours", 43200], ["1 day", 86400], ["14 days", 1209600], ["90 days", 7776000]];
  const by = form([field("seconds", "Seconds, also negative", { type: "number", step: "any", required: true })], "Move",
    (data) => act("clock", { advance: Number(data.seconds) }).then(refresh));
  const to = form([field("moment", "Date and time", { type: "datetime-local", step: "1", required: true })], "Set",
    (data) => act("clock", { set: new Date(data.moment).getTime() / 1000 }).then(refresh));
  const switches = h("div", { class: "line" });
  const tick = (seconds) => (now.textContent = new Date(seconds * 1000).toLocaleString("en-GB", { dateStyle: "full", timeStyle: "medium" }));
  return {
    topics: ["clock"],
    element: [heading("Clock", "Tokens, codes and retention follow it; leases and time-outs do not."),
      h("section", { class: "card" }, now, state, switches),
      h("section", { class: "card stack" }, h("h2", {}, "Move forward"),
        h("div", { class: "line" }, steps.map(([label, seconds]) => move({ advance: seconds }, `+ ${label}`))),
        h("div", { class: "cols" }, by, to))],
    load: () => get("clock"),
    tick,
    draw(data) {
      tick(data.time);
      const moved = Math.abs(data.offset) >= 1;
      const where = moved ? `${span(Math.abs(data.offset))} ${data.offset > 0 ? "ahead of" : "behind"} real time` : "Real time";
      state.textContent = data.frozen ? `${where}; it stands still` : where;
      switches.replaceChildren(
        data.frozen ? move({ run: true }, "Let it run", "main") : move({ freeze: true }, "Freeze"), move({ reset: true }, "Back to real time"));
    },
  };
}

const SERVICES = {
  mercury: "Sockets (Mercury)", kms: "Key service", conversation: "Conversations and files", catalog: "Service catalog", settings: "Settings of the cloud",
};

export function faults(_, refresh) {
  const list = h("div", { class: "rows" });
  const services = h("div");
  const add = form(
    [
      field("path", "Path, with * for anything", { value: "/v1/*", required: true }),
      select("method", "Method", [["", "any"], "GET", "POST", "PUT", "DELETE"]),
      field("status", "Status", { type: "number", min: 100, max: 599, placeholder: "503" }),
      field("count", "How often", { type: "number", min: 1, placeholder: "always" }),
      field("retry_after", "Retry-After", { placeholder: "7" }),
      field("latency", "Latency in seconds", { type: "number", min: 0, step: "any" }),
      select("more", "Connection", [["", "as usual"], ["drop", "closed without an answer"], ["truncate", "cut in half"], ["not_json", "an HTML page"]]),
    ],
    "Switch on",
    (data) => {
      const what = { path: data.path };
      for (const name of ["method", "retry_after"]) if (data[name]) what[name] = data[name];
      for (const name of ["status", "count", "latency"]) if (data[name]) what[name] = Number(data[name]);
      if (data.more) what[data.more] = true;
      if (Object.keys(what).every((name) => ["path", "method", "count"].includes(name))) what.status = 503;
      return act("add_fault", what).then(refresh);
    },
    { keep: true });
  return {
    topics: ["faults"],
    element: [
      heading("Faults", "What goes wrong on purpose. The first fault that fits a request strikes.",
        button("Switch all off", () => attempt(() => act("clear_faults").then(refresh), "All faults are off"), { kind: "danger" })),
      list, h("h2", { class: "section" }, "Add a fault of requests"), h("div", { class: "card" }, add), services],
    load: () => get("faults"),
    draw(data) {
      sync(list, data.http, (each) => each.id, (each) => faultRow(each, refresh), "No request fails on purpose.");
      sync(services, Object.entries(data.services).map(([name, each]) => ({ name, ...each })), (each) => each.name, (each) => serviceCard(each, refresh));
    },
  };
}

const SHOWN = ["status", "retry_after", "latency", "drop", "truncate", "drip", "not_json", "broken_next", "after_processing"];

function faultRow(fault, refresh) {
  const what = SHOWN.filter((name) => fault[name]).map((name) => (fault[name] === true ? name : `${name} ${fault[name]}`));
  return h("div", { class: "row-item fault" },
    badge(fault.method ?? "any", "key"), h("code", { class: "grow" }, fault.path),
    what.map((each) => badge(each, "bad")),
    h("span", { class: "soft small" }, fault.count ? `${fault.hits} of ${count(fault.count, "time")}` : `${count(fault.hits, "time")} so far`),
    button("Switch off", () => attempt(() => act("remove_fault", { id: fault.id }).then(refresh)), { kind: "tiny" }));
}

function serviceCard(service, refresh) {
  const names = Object.keys(service.values);
  const differs = (name) => JSON.stringify(service.values[name]) !== JSON.stringify(service.defaults[name]);
  const changed = names.filter(differs).length;
  const text = (value) => (value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));
  const knobs = names.map((name) =>
    h("label", { class: differs(name) ? "set" : "" }, name.replaceAll("_", " "),
      h("input", { name, value: text(service.values[name]), placeholder: text(service.defaults[name]) || "—", autocomplete: "off" })));
  const inside = form([h("div", { class: "knobs" }, knobs)], "Apply", (data) => {
    const values = {};
    for (const name of names) {
      if (data[name] === text(service.values[name])) continue;
      values[name] = data[name] === "" ? service.defaults[name] : typeof service.defaults[name] === "string" ? data[name] : JSON.parse(data[name]);
    }
    return act("change", { service: service.name, values }).then(refresh);
  }, { kind: "stack", keep: true });
  const card = h("details", { class: "card", "data-name": service.name },
    h("summary", {}, SERVICES[service.name] ?? service.name, " ", changed ? badge(`${changed} changed`, "warn") : null), inside);
  return card;
}

export function snapshots(_, refresh) {
  const list = h("div", { class: "rows" });
  const take = form([field("name", "Name", { placeholder: "before the migration" })], "Take a snapshot", (data) => act("snapshot", data).then(refresh));
  const chosen = h("input", { type: "file", name: "file", required: true, "aria-label": "A snapshot's file" });
  const upload = form([chosen], "Restore from file", async () => {
    const data = new Uint8Array(await chosen.files[0].arrayBuffer());
    let binary = "";
    for (let at = 0; at < data.length; at += 32768) binary += String.fromCharCode(...data.subarray(at, at + 32768));
    await act("restore", { data: btoa(binary) }).then(refresh);
  });
  return {
    topics: ["state"],
    element: [
      heading("Snapshots", "Everything the cloud knows, to come back to. They are kept until the emulator ends.",
        button("Reset the cloud", () => attempt(() => act("reset").then(refresh), "The cloud is as it was at first"), { kind: "danger", sure: "Press again to reset" })),
      h("div", { class: "card" }, take), list, h("h2", { class: "section" }, "A snapshot that was downloaded"), h("div", { class: "card" }, upload)],
    load: () => get("snapshots"),
    draw: (data) => sync(list, data, (each) => each.id, (each) =>
      h("div", { class: "row-item" },
        h("span", { class: "grow" }, each.name, h("br"), h("span", { class: "soft small" }, `${day(each.time)} · ${bytes(each.size)}`)),
        button("Restore", () => attempt(() => act("restore", { id: each.id }).then(refresh), "Restored"), { kind: "tiny", sure: "Press again" }),
        h("a", { class: "small", href: `/_console/snapshot?id=${each.id}`, download: true }, "Download"),
        button("Delete", () => attempt(() => act("forget_snapshot", { id: each.id }).then(refresh)), { kind: "tiny danger" })),
      "No snapshot was taken yet."),
  };
}
