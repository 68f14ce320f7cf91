// Pages about what goes over the wire: requests, webhooks, the key service.

import { act, attempt, badge, button, copy, count, facts, fold, form, get, h, heading, json, moment, select, sync } from "./ui.js";

function statusBadge(status) {
  if (!status) return badge("dropped", "bad");
  return badge(status, status >= 500 ? "bad" : status >= 400 ? "warn" : "good");
}

export function requests(_, refresh) {
  const list = h("div", { class: "rows" });
  const told = h("p", { class: "lead small" });
  const filters = h("form", { class: "row" },
    h("label", { class: "wide" }, "Path", h("input", { name: "path", placeholder: "/v1/messages", autocomplete: "off" })),
    select("method", "Method", [["", "any"], "GET", "POST", "PUT", "PATCH", "DELETE"]),
    select("status", "Status", [["", "any"], ["2", "2xx"], ["3", "3xx"], ["4", "4xx"], ["5", "5xx"], ["0", "dropped"]]),
    select("person", "Person", [["", "all"]]),
    select("faults", "Faults", [["", "with and without"], ["1", "only struck ones"]]));
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("input", () => refresh());
  const choose = filters.querySelector("[name=person]");
  return {
    topics: ["requests"],
    element: [
      heading("Requests", "What clients asked of the cloud, without their secrets.",
        button("Clear", () => attempt(() => act("clear_requests").then(refresh)), { kind: "danger" })),
      h("div", { class: "card" }, filters, told), list],
    async load() {
      if (choose.options.length === 1) {
        const people = await get("people");
        choose.append(...people.map((each) => h("option", { value: each.id }, each.name)));
      }
      return get("requests", Object.fromEntries(new FormData(filters)));
    },
    draw(data) {
      told.textContent = data.found === data.total ? count(data.total, "request") : `${data.found} of ${count(data.total, "request")}`;
      if (data.found > data.items.length) told.textContent += `; the latest ${data.items.length} are shown`;
      sync(list, data.items, (each) => each.tracking_id + each.time, request, "No request fits.");
    },
  };
}

function request(entry) {
  const summary = [
    moment(entry.time), h("span", { class: "mono" }, entry.method), h("span", { class: "path", title: entry.path }, entry.path),
    h("span", { class: "soft small wide-only" }, entry.person ?? entry.app ?? ""),
    h("span", {}, entry.fault ? [badge(entry.fault, "bad"), " "] : null, statusBadge(entry.status)),
  ];
  return fold(summary, () => [
    h("div", { class: "line" },
      copy(async () => (await get("curl", { number: String(entry.number), tracking: entry.tracking_id })).command, "Copy as curl"),
      h("span", { class: "soft small" }, [entry.person, entry.app, entry.fault ? `fault: ${entry.fault}` : null].filter(Boolean).join(" · "))),
    facts([
      ["Route", h("code", {}, entry.route)], ["Tracking id", h("code", {}, entry.tracking_id)],
      ["Query", Object.keys(entry.query).length ? json(entry.query) : null],
      ["Headers", json(entry.headers)],
      ["Body", entry.body !== null ? json(entry.body) : entry.body_size ? `${entry.body_size} bytes, not kept` : null],
    ]),
  ]);
}

export function webhooks(_, refresh) {
  const list = h("div");
  return {
    topics: ["webhooks", "state"],
    element: [heading("Webhooks", "Every attempt to deliver, with its payload and what the target answered."), list],
    load: () => get("webhooks"),
    draw: (data) => sync(list, data, (each) => each.id, (each) => webhookCard(each, refresh),
      "No webhook is registered. Make one with POST /v1/webhooks; its target must be on this machine."),
  };
}

function webhookCard(each, refresh) {
  const { webhook } = each;
  const tries = h("div", { class: "rows tries" });
  sync(tries, each.attempts, (one) => one.id, (one) => tryRow(one, refresh), "Nothing was delivered yet.");
  return h("section", { class: "card stack" },
    h("div", { class: "line" },
      h("div", { class: "grow" }, h("h2", {}, webhook.name), h("code", {}, webhook.targetUrl)),
      badge(`${webhook.resource}:${webhook.event}`, "key"), each.signed ? badge("signed") : null,
      badge(webhook.status, webhook.status === "active" ? "good" : "bad"),
      webhook.status !== "active"
        ? button("Activate", () => attempt(() => act("activate", { webhook: each.id }).then(refresh)), { kind: "tiny" }) : null,
      copy(webhook.id, "Copy id")),
    h("p", { class: "lead small" }, [`of ${each.owner}`, webhook.filter ? `filter ${webhook.filter}` : null,
      each.failures ? `${each.failures} deliveries failed in a row` : null].filter(Boolean).join(" · ")),
    tries);
}

function tryRow(one, refresh) {
  const summary = [
    moment(one.time),
    h("span", { class: "soft small" }, [one.redelivered ? "redelivered" : one.number > 1 ? `try ${one.number}` : "delivered",
      `${Math.round(one.seconds * 1000)} ms`, one.error].filter(Boolean).join(" · ")),
    one.status ? statusBadge(one.status) : badge("failed", "bad"),
    button("Redeliver", () => attempt(() => act("redeliver", { attempt: one.id }).then((done) => { refresh(); return done; }),
      (done) => (done.status ? `The target answered ${done.status}` : done.error)), { kind: "tiny redeliver" }),
  ];
  const row = fold(summary, () => h("div", { class: "cols" },
    h("div", {}, h("div", { class: "line" }, h("span", { class: "soft small" }, "Payload"), copy(JSON.stringify(one.payload, null, 2))), json(one.payload)),
    h("div", {},
      h("span", { class: "soft small" }, "Signature (HMAC-SHA1 of the payload)"), json(one.headers["X-Spark-Signature"] ?? "none: the webhook has no secret"),
      h("span", { class: "soft small" }, "Answer"), json(one.status ? `${one.status}\n${one.answer}` : one.error ?? ""))));
  row.dataset.name = `try-${one.id}`;
  return row;
}

export function keys() {
  const list = h("div", { class: "rows keys" });
  const counts = h("div", { class: "line" });
  return {
    topics: ["keys", "state"],
    element: [heading("Key service", "Requests and answers in clear; on the wire both are encrypted."), h("div", { class: "card" }, counts), list],
    load: () => get("keys"),
    draw(data) {
      counts.replaceChildren(badge(count(data.content_keys, "content key")), badge(count(data.resources, "resource")), badge(count(data.agreed_keys, "agreed channel")));
      sync(list, data.exchanges, (each) => each.id, (each) =>
        fold([
          moment(each.time), h("span", { class: "mono" }, each.request?.method ?? "?"),
          h("span", { class: "path", title: each.request?.uri }, each.request?.uri?.replace(/^kms:\/\/[^/]*/, "") ?? "a request that cannot be opened"),
          h("span", { class: "soft small wide-only" }, each.by), statusBadge(each.answer.status)],
        () => h("div", { class: "cols" },
          h("div", {}, h("span", { class: "soft small" }, "Request"), json(each.request)),
          h("div", {}, h("span", { class: "soft small" }, "Answer"), json(each.answer)))), "No client has talked to the key service yet.");
    },
  };
}
