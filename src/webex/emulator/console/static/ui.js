// Small helpers: elements without markup in strings, requests, copying, keyed lists.

/** Make an element. Text is always set as text; nothing here parses markup. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value") element.value = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

async function answered(response) {
  if (response.status === 401) {
    location.reload();
    throw new Error("The console is locked.");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.message || `The emulator answered ${response.status}.`);
  return body;
}

/** Read a view of the cloud. */
export async function get(view, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  return answered(await fetch(`/_console/api/${view}${query}`));
}

/** Change something in the cloud. */
export async function act(action, parameters = {}) {
  const body = JSON.stringify(parameters);
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`/_console/api/${action}`, { method: "POST", headers, body });
  return (await answered(answer)).result;
}

/** Tell something in the corner of the page. */
export function toast(text, bad = false) {
  const element = h("div", { class: bad ? "toast bad" : "toast" }, text);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), bad ? 7000 : 2500);
}

/** Run an action and tell when it fails. */
export async function attempt(work, done) {
  try {
    const result = await work();
    if (done) toast(typeof done === "function" ? done(result) : done);
    return result;
  } catch (error) {
    toast(error.message, true);
    return undefined;
  }
}

/** A button; with `sure` it asks for a second press. */
export function button(label, press, { kind = "", sure = "" } = {}) {
  const element = h("button", { type: "button", class: kind }, label);
  element.addEventListener("click", (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (sure && !element.classList.contains("sure")) {
      element.classList.add("sure");
      element.textContent = sure;
      setTimeout(() => {
        element.classList.remove("sure");
        element.textContent = label;
      }, 3000);
      return;
    }
    press(element);
  });
  return element;
}

/** A button that copies a text, or what a function gives. */
export function copy(value, label = "Copy") {
  return button(
    label,
    (element) =>
      attempt(async () => {
        await toClipboard(typeof value === "function" ? await value() : value);
        element.textContent = "Copied";
        setTimeout(() => (element.textContent = label), 1500);
      }),
    { kind: "tiny copy" },
  );
}

async function toClipboard(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = h("textarea", {}, text); // an address that browsers do not trust has no clipboard
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser did not copy it.");
}

/** A form whose fields are handed over by name; it is emptied when the work went well. */
export function form(fields, label, submit, { kind = "row", keep = false } = {}) {
  const element = h("form", { class: kind }, fields, h("button", { class: "main" }, label));
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = Object.fromEntries(new FormData(element));
    if ((await attempt(() => submit(data).then(() => true))) && !keep) element.reset();
  });
  return element;
}

export function field(name, label, attributes = {}) {
  return h("label", { class: "wide" }, label, h("input", { name, autocomplete: "off", ...attributes }));
}

export function select(name, label, options, attributes = {}) {
  const items = options.map((option) => {
    const [value, text] = Array.isArray(option) ? option : [option, option];
    return h("option", { value }, text);
  });
  return h("label", { class: "wide" }, label, h("select", { name, ...attributes }, items));
}

export function badge(text, kind = "") {
  return h("span", { class: `badge ${kind}` }, text);
}

export function json(value) {
  return h("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2));
}

export function empty(text) {
  return h("div", { class: "empty" }, text);
}

export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", {}, shown.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export function heading(title, lead, ...actions) {
  return h("div", { class: "top" }, h("div", {}, h("h1", {}, title), lead ? h("p", {}, lead) : null), actions);
}

/** A details element whose inside is made when it is first opened. */
export function fold(summary, make, attributes = {}) {
  const element = h("details", attributes, h("summary", {}, summary));
  element.addEventListener("toggle", async () => {
    if (!element.open || element.dataset.filled) return;
    element.dataset.filled = "1";
    const inside = h("div", { class: "inside" });
    element.append(inside);
    const content = await attempt(async () => make());
    if (content === undefined) delete element.dataset.filled;
    else inside.append(...[content].flat(Infinity).filter(Boolean));
  });
  return element;
}

/** Let `parent` hold one element for each item; an element stays as it is until its item changes. */
export function sync(parent, items, key, build, nothing) {
  const known = new Map([...parent.children].filter((each) => each.dataset.key).map((each) => [each.dataset.key, each]));
  const wanted = [];
  for (const item of items) {
    const name = String(key(item));
    const mark = JSON.stringify(item);
    let element = known.get(name);
    if (!element || element.mark !== mark) {
      const fresh = build(item);
      fresh.dataset.key = name;
      fresh.mark = mark;
      if (element) carryOver(element, fresh);
      element = fresh;
    }
    wanted.push(element);
  }
  if (!wanted.length && nothing) wanted.push(empty(nothing));
  const present = [...parent.children];
  if (present.length === wanted.length && present.every((each, at) => each === wanted[at])) return;
  parent.replaceChildren(...wanted);
}

/** What was typed or opened in an element is typed and open in the one that takes its place. */
function carryOver(old, fresh) {
  const typed = new Map([...old.querySelectorAll("input[name], textarea[name]")].map((each) => [each.name, each.value]));
  for (const each of fresh.querySelectorAll("input[name], textarea[name]")) {
    if (typed.has(each.name)) each.value = typed.get(each.name);
  }
  const both = (root) => [...(root.matches("details") ? [root] : []), ...root.querySelectorAll("details[data-name]")];
  const open = new Set(both(old).filter((each) => each.open).map((each) => each.dataset.name ?? ""));
  for (const each of both(fresh)) each.open = open.has(each.dataset.name ?? "");
}

export function moment(seconds) {
  const date = new Date(seconds * 1000);
  return h("time", { datetime: date.toISOString(), title: date.toLocaleString() }, date.toLocaleTimeString("en-GB"));
}

export function day(seconds) {
  return new Date(seconds * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

export function span(seconds) {
  const size = Math.abs(seconds);
  if (size >= 2 * 86400) return `${+(seconds / 86400).toFixed(1)} days`;
  if (size >= 2 * 3600) return `${+(seconds / 3600).toFixed(1)} hours`;
  if (size >= 120) return `${Math.round(seconds / 60)} minutes`;
  return `${Math.round(seconds)} seconds`;
}

/** A number with its noun. */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

export function bytes(size) {
  if (size >= 1048576) return `${(size / 1048576).toFixed(1)} MB`;
  return size >= 1024 ? `${(size / 1024).toFixed(1)} kB` : `${size} bytes`;
}

/** A circle with initials, in a color of the person's own. */
export function face(name, id) {
  const initials = (name || "?").split(/\s+/).map((each) => each[0]).slice(0, 2).join("").toUpperCase();
  const number = [...String(id), ...initials].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 9973, 7);
  return h("span", { class: `face c${number % 6}`, "aria-hidden": "true" }, initials);
}

/** A secret on one line with a button that copies it. */
export function secret(value, label = "Copy") {
  return h("span", { class: "line" }, h("code", { class: "secret", title: value }, value), copy(value, label));
}
