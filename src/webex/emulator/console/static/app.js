// The frame of the console: navigation, the live connection, and which page is shown.

import { get, h, span, toast } from "./ui.js";
import { apps, clock, faults, files, overview, people, snapshots, sockets } from "./pages.js";
import { rooms } from "./rooms.js";
import { keys, requests, webhooks } from "./traffic.js";

const PARTS = [
  ["", { overview: ["Overview", overview] }],
  ["Accounts", { people: ["People", people], apps: ["Apps", apps] }],
  ["Messaging", { rooms: ["Rooms", rooms], files: ["Files", files] }],
  ["Traffic", {
    requests: ["Requests", requests], webhooks: ["Webhooks", webhooks], sockets: ["Sockets", sockets], keys: ["Key service", keys],
  }],
  ["Conditions", { clock: ["Clock", clock], faults: ["Faults", faults], snapshots: ["Snapshots", snapshots] }],
];
const PAGES = Object.assign({}, ...PARTS.map(([, pages]) => pages));

const main = document.getElementById("main");
let shown = null; // the page: { name, topics, update }
let turn = 0;

function drawNavigation() {
  const links = PARTS.flatMap(([title, pages]) => [
    title ? h("h2", {}, title) : null,
    ...Object.entries(pages).map(([name, [label]]) => h("a", { href: `#/${name}`, id: `nav-${name}` }, label, h("small", {}))),
  ]);
  document.getElementById("nav").append(...links.filter(Boolean));
}

async function route() {
  const [name = "overview", ...rest] = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  const page = PAGES[name] ? name : "overview";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.id === `nav-${page}`) {
      link.setAttribute("aria-current", "page");
      const bar = link.parentElement;
      bar.scrollLeft = link.offsetLeft - (bar.clientWidth - link.clientWidth) / 2;
    } else link.removeAttribute("aria-current");
  }
  document.title = `${PAGES[page][0]} · Webex emulator`;
  if (shown?.name === page && shown.go) {
    shown.go(rest);
  } else {
    const made = PAGES[page][1](rest, () => update(shown));
    shown = { name: page, ...made };
    main.replaceChildren(...[made.element].flat());
    window.scrollTo(0, 0);
  }
  main.dataset.page = "";
  await update(shown);
}

/** Read what a page shows, unless another page has been opened in the meantime. */
async function update(page) {
  const mine = ++turn;
  try {
    const data = await page.load();
    if (page !== shown || mine !== turn) return;
    page.draw(data);
    main.dataset.page = page.name;
  } catch (error) {
    toast(error.message, true);
  }
}

let time = null; // { at, offset, frozen, read }

async function drawFrame() {
  const data = await get("overview");
  for (const [name, count] of Object.entries(data.counts)) {
    const small = document.querySelector(`#nav-${name} small`);
    if (small) small.textContent = count || "";
  }
  const waiting = document.querySelector("#nav-sockets small");
  waiting.className = data.unacknowledged ? "alarm" : "";
  if (data.unacknowledged) waiting.textContent = `${data.counts.sockets} · ${data.unacknowledged} waiting`;
  document.querySelector("#nav-faults small").className = data.counts.faults ? "alarm" : "";
  time = { ...data.clock, read: performance.now() };
  drawTime();
}

function drawTime() {
  if (!time) return;
  const now = time.time + (time.frozen ? 0 : (performance.now() - time.read) / 1000);
  const chip = document.getElementById("clock");
  const moved = Math.abs(time.offset) >= 1;
  chip.textContent = new Date(now * 1000).toLocaleString("en-GB", { dateStyle: moved ? "medium" : undefined, timeStyle: "medium" });
  chip.title = moved ? `The cloud's clock is ${span(time.offset)} ${time.offset > 0 ? "ahead" : "behind"}` : "The cloud's clock";
  chip.classList.toggle("moved", moved || time.frozen);
  shown?.tick?.(now, time);
}

function listen() {
  const live = document.getElementById("live");
  const changed = new Set();
  let timer = null;
  const source = new EventSource("/_console/events");
  const flush = async () => {
    timer = null;
    const topics = new Set(changed);
    changed.clear();
    try {
      await drawFrame();
    } catch {
      return; // the connection is gone; it tells so itself
    }
    if (shown && shown.topics.some((topic) => topics.has(topic))) await update(shown);
  };
  source.onmessage = (event) => {
    live.textContent = "live";
    live.classList.add("on");
    for (const topic of JSON.parse(event.data).changed) changed.add(topic);
    timer ??= setTimeout(flush, 60);
  };
  source.onerror = () => {
    live.textContent = source.readyState === EventSource.CLOSED ? "ended" : "reconnecting";
    live.classList.remove("on");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

drawNavigation();
window.addEventListener("hashchange", route);
setInterval(drawTime, 1000);
listen();
route();
