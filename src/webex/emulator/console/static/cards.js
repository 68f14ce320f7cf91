// Adaptive Cards 1.3 as elements of the page: all text is set as text, and nothing is loaded from elsewhere.

import { act, attempt, h } from "./ui.js";

const LINK = /^https?:\/\//i;
const MARKS = /\*\*(.+?)\*\*|_(.+?)_|\[([^\]]*)\]\(([^)\s]*)\)/g;

/** Draw a card; `submit(inputs)` is called with what was filled in. */
export function card(content, submit) {
  const root = h("form", { class: "adaptive", novalidate: true });
  root.addEventListener("submit", (event) => event.preventDefault());
  root.append(...body(content, { root, submit }));
  return root;
}

/** The cards of a message, with the choice of who submits. */
export function cardsOf(message, members) {
  const others = members.filter((each) => each.id !== message.author && each.kind !== "bot");
  const who = h("select", { "aria-label": "Submit as" }, others.map((each) => h("option", { value: each.id }, `as ${each.name}`)));
  const submit = (inputs) => attempt(() => act("submit_card", { message: message.public_id, person: who.value, inputs }), "Submitted");
  return h("div", { class: "cards" }, message.contents.map((content) => card(content, submit)), others.length ? who : null);
}

function body(content, context) {
  return [...elements(content?.body, context), actions(content?.actions, context)];
}

const list = (value) => (Array.isArray(value) ? value.filter((each) => each && typeof each === "object") : []);
const word = (value) => String(value ?? "").toLowerCase().replace(/[^a-z]/g, "");

function elements(items, context) {
  return list(items).map((item) => {
    const made = (DRAWN[item.type] ?? unknown)(item, context);
    made.classList.add("ac");
    if (item.separator) made.classList.add("ac-separator");
    if (item.spacing) made.classList.add(`ac-space-${word(item.spacing)}`);
    if (item.horizontalAlignment) made.classList.add(`ac-${word(item.horizontalAlignment)}`);
    if (typeof item.id === "string") made.dataset.id = item.id;
    made.hidden = item.isVisible === false;
    return made;
  });
}

const DRAWN = {
  TextBlock: (item) => h("div", { class: `${looks(item)} ${item.wrap ? "" : "ac-line"}` }, formatted(String(item.text ?? ""))),
  RichTextBlock: (item) => h("div", {}, (Array.isArray(item.inlines) ? item.inlines : []).map((run) =>
    typeof run === "string" ? run : h("span", { class: `${looks(run ?? {})} ${run?.italic ? "ac-italic" : ""}` }, String(run?.text ?? "")))),
  Image: (item) => h("div", { class: `ac-image ac-${word(item.size)}`, title: String(item.url ?? "") }, String(item.altText || "image")),
  ImageSet: (item, context) => h("div", { class: "ac-images" }, elements(item.images, context)),
  FactSet: (item) => h("dl", {}, list(item.facts).map((fact) => [h("dt", {}, formatted(String(fact.title ?? ""))), h("dd", {}, formatted(String(fact.value ?? "")))])),
  Container: (item, context) => h("div", { class: `ac-box ac-${word(item.style)}` }, elements(item.items, context)),
  ColumnSet: (item, context) => h("div", { class: "ac-columns" }, list(item.columns).map((column) => {
    const made = h("div", { class: `ac-box ac-${word(column.style)} ac-width-${word(column.width) || "weighted"}` }, elements(column.items, context));
    if (typeof column.id === "string") made.dataset.id = column.id;
    made.hidden = column.isVisible === false;
    return made;
  })),
  ActionSet: (item, context) => actions(item.actions, context),
  "Input.Text": (item) => labelled(item, item.isMultiline
    ? h("textarea", { ...common(item), rows: 3, maxlength: item.maxLength }, String(item.value ?? ""))
    : h("input", { ...common(item), type: "text", maxlength: item.maxLength, pattern: item.regex || null, value: String(item.value ?? "") })),
  "Input.Number": (item) => labelled(item, h("input", { ...common(item), type: "number", step: "any", min: item.min, max: item.max, value: String(item.value ?? "") })),
  "Input.Date": (item) => labelled(item, h("input", { ...common(item), type: "date", min: item.min, max: item.max, value: String(item.value ?? "") })),
  "Input.Time": (item) => labelled(item, h("input", { ...common(item), type: "time", min: item.min, max: item.max, value: String(item.value ?? "") })),
  "Input.Toggle": (item) => {
    const on = String(item.valueOn ?? "true");
    const box = h("input", { ...common(item), type: "checkbox", checked: String(item.value ?? "") === on, "data-on": on, "data-off": String(item.valueOff ?? "false") });
    return h("div", {}, h("label", { class: "ac-choice" }, box, h("span", {}, formatted(String(item.title ?? "")))));
  },
  "Input.ChoiceSet": (item) => labelled(item, choices(item)),
};

function unknown(item) {
  return h("div", { class: "soft small" }, `${String(item.type)} is not drawn here`);
}

function looks(item) {
  const found = ["size", "weight", "color", "fontType"].filter((name) => item[name]).map((name) => `ac-${word(item[name])}`);
  return [...found, item.isSubtle ? "ac-subtle" : ""].join(" ");
}

/** Bold, italic and links of a text; a link leads only to http and https. */
function formatted(text) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(MARKS)) {
    parts.push(text.slice(at, match.index));
    if (match[1] !== undefined) parts.push(h("b", {}, match[1]));
    else if (match[2] !== undefined) parts.push(h("i", {}, match[2]));
    else parts.push(link(match[4], match[3]));
    at = match.index + match[0].length;
  }
  return [...parts, text.slice(at)];
}

function link(url, text, attributes = {}) {
  return LINK.test(url) ? h("a", { ...attributes, href: url, target: "_blank", rel: "noopener noreferrer", title: url }, text) : h("span", attributes, text);
}

function common(item) {
  return { "data-input": String(item.id ?? ""), placeholder: item.placeholder, required: Boolean(item.isRequired), "data-error": item.errorMessage, autocomplete: "off" };
}

function labelled(item, input) {
  return h("label", { class: "ac-input" }, item.label ? h("span", {}, String(item.label), item.isRequired ? " *" : "") : null, input);
}

function choices(item) {
  const chosen = String(item.value ?? "").split(",");
  const given = list(item.choices).map((each) => ({ title: String(each.title ?? ""), value: String(each.value ?? "") }));
  if (item.isMultiSelect || item.style === "expanded") {
    const type = item.isMultiSelect ? "checkbox" : "radio";
    const name = `c${Math.random()}`;
    return h("span", { class: "ac-choices", "data-choices": String(item.id ?? ""), "data-required": item.isRequired ? "1" : null, "data-error": item.errorMessage },
      given.map((each) => h("label", { class: "ac-choice" }, h("input", { type, name, value: each.value, checked: chosen.includes(each.value) }), each.title)));
  }
  const select = h("select", common(item), h("option", { value: "" }, String(item.placeholder ?? "")), given.map((each) => h("option", { value: each.value }, each.title)));
  select.value = given.some((each) => each.value === String(item.value)) ? String(item.value) : "";
  return select;
}

function actions(items, context) {
  const row = h("div", { class: "ac-actions" });
  const below = h("div", {});
  for (const action of list(items)) {
    const title = String(action.title ?? "");
    const kind = `ac-button ac-${word(action.style)}`;
    if (action.type === "Action.OpenUrl") row.append(link(String(action.url ?? ""), title, { class: kind }));
    if (action.type === "Action.Submit") row.append(press(title, kind, (element) => send(element, action, context)));
    if (action.type === "Action.ToggleVisibility") row.append(press(title, kind, () => toggle(action, context)));
    if (action.type === "Action.ShowCard") {
      const inner = h("div", { class: "ac-show", hidden: true });
      inner.append(...body(action.card, context));
      below.append(inner);
      row.append(press(title, kind, () => (inner.hidden = !inner.hidden)));
    }
  }
  return h("div", {}, row, below);
}

function press(title, kind, work) {
  const element = h("button", { type: "button", class: kind }, title);
  element.addEventListener("click", () => work(element));
  return element;
}

function toggle(action, context) {
  for (const target of Array.isArray(action.targetElements) ? action.targetElements : []) {
    const id = typeof target === "string" ? target : target?.elementId;
    const found = [...context.root.querySelectorAll("[data-id]")].find((each) => each.dataset.id === id);
    if (found) found.hidden = typeof target?.isVisible === "boolean" ? !target.isVisible : !found.hidden;
  }
}

/** Hand over what the inputs of the button's card, and of the cards around it, hold. */
function send(element, action, context) {
  const counts = (input) => {
    const shown = input.closest(".ac-show");
    return !shown || shown.contains(element);
  };
  const inputs = typeof action.data === "object" && action.data !== null ? { ...action.data } : {};
  for (const input of [...context.root.querySelectorAll("[data-input]")].filter(counts)) {
    input.setCustomValidity("");
    if (!input.checkValidity() && input.dataset.error) input.setCustomValidity(input.dataset.error);
    if (!input.reportValidity()) return;
    inputs[input.dataset.input] = input.type === "checkbox" ? (input.checked ? input.dataset.on : input.dataset.off) : input.value;
  }
  for (const group of [...context.root.querySelectorAll("[data-choices]")].filter(counts)) {
    const boxes = [...group.querySelectorAll("input")];
    const value = boxes.filter((each) => each.checked).map((each) => each.value).join(",");
    boxes[0]?.setCustomValidity(group.dataset.required && !value ? group.dataset.error || "Choose one." : "");
    if (boxes[0] && !boxes[0].reportValidity()) return;
    inputs[group.dataset.choices] = value;
  }
  context.submit(inputs);
}
