// The npm package `webex` as its guides use it. Commands come as lines of JSON on standard input: {"do": NAME, ...};
// each is answered with one line. Nothing of the package is changed; see load.js for what Node cannot load of it.
'use strict';
const fs = require('fs');
const readline = require('readline');
const { load } = require('./load.js');

const log = console.log.bind(console);
for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace']) console[level] = () => {};
const unhandled = [];
process.on('unhandledRejection', (error) => unhandled.push(String(error && error.message)));

const came = [];
const activities = [];
let wake = () => {};

const Webex = load(process.env.BASE);
let webex;

const ready = () => new Promise((resolve) => { webex.once('ready', resolve); });
const plain = (model) => JSON.parse(JSON.stringify(model));
const all = async (first) => {
  const items = [...first.items];
  let pages = 1;
  for (let page = first; page.hasNext(); pages += 1) {
    page = await page.next();
    items.push(...page.items);
  }
  return { items: plain(items), pages };
};

const commands = {
  async with_token({ token }) {
    webex = Webex.init({ credentials: { access_token: token } });
    await ready();
    return {};
  },
  async with_app(credentials) {
    webex = Webex.init({ config: { credentials } });
    await ready();
    return { canAuthorize: webex.canAuthorize };
  },
  async login_url() {
    return { url: webex.credentials.buildLoginUrl({ clientType: 'confidential', state: { from: 'a test' } }) };
  },
  async exchange({ code }) {
    await webex.authorization.requestAuthorizationCodeGrant({ code });
    return { canAuthorize: webex.canAuthorize, canRefresh: webex.canRefresh };
  },
  async refresh() {
    const before = webex.credentials.supertoken.access_token;
    await webex.refresh({ force: true });
    return { changed: webex.credentials.supertoken.access_token !== before };
  },
  async me() { return plain(await webex.people.get('me')); },
  async person({ id }) { return plain(await webex.people.get(id)); },
  async create_room({ title }) { return plain(await webex.rooms.create({ title })); },
  async get_room({ id }) { return plain(await webex.rooms.get(id)); },
  async rename_room({ id, title }) { return plain(await webex.rooms.update({ id, title })); },
  async remove_room({ id }) { await webex.rooms.remove(id); return {}; },
  async list_rooms({ max }) { return all(await webex.rooms.list({ max })); },
  async add({ roomId, personEmail }) { return plain(await webex.memberships.create({ roomId, personEmail })); },
  async members({ roomId, max }) { return all(await webex.memberships.list({ roomId, max })); },
  async send(message) { return plain(await webex.messages.create(message)); },
  async messages({ roomId, max }) { return all(await webex.messages.list({ roomId, max })); },
  async remove_message({ id }) { await webex.messages.remove(id); return {}; },
  async upload({ roomId, text, path }) {
    return plain(await webex.messages.create({ roomId, text, files: [fs.createReadStream(path)] }));
  },
  async download({ url }) {
    const answer = await webex.request({ uri: url, responseType: 'buffer' });
    return { base64: Buffer.from(answer.body).toString('base64') };
  },
  async create_webhook(webhook) { return plain(await webex.webhooks.create(webhook)); },
  async list_webhooks() { return all(await webex.webhooks.list()); },
  async update_webhook(webhook) { return plain(await webex.webhooks.update(webhook)); },
  async remove_webhook({ id }) { await webex.webhooks.remove(id); return {}; },
  async listen({ names }) {
    for (const [resource, events] of Object.entries(names)) {
      await webex[resource].listen();
      for (const event of events) {
        webex[resource].on(event, (heard) => { came.push(plain(heard)); wake(); });
      }
    }
    webex.internal.mercury.on('event:conversation.activity', ({ data }) => { activities.push(data.activity); wake(); });
    return {};
  },
  async heard({ count }) {
    while (came.length < count) await new Promise((resolve) => { wake = resolve; });
    return { events: came.splice(0, count) };
  },
  async timed({ count }) {
    while (came.length < 1) await new Promise((resolve) => { wake = resolve; });
    const began = process.hrtime.bigint();
    const used = process.cpuUsage();
    const already = came.length;
    while (came.length < count) await new Promise((resolve) => { wake = resolve; });
    const { user, system } = process.cpuUsage(used);
    return {
      seconds: Number(process.hrtime.bigint() - began) / 1e9, cpu: (user + system) / 1e6, events: count - already,
    };
  },
  async clear_text({ verb }) {
    const found = () => activities.find((activity) => activity.verb === verb);
    while (!found()) await new Promise((resolve) => { wake = resolve; });
    const activity = found();
    activities.splice(activities.indexOf(activity), 1);
    return { displayName: activity.object.displayName, content: activity.object.content || null, id: activity.id };
  },
  async conversation_post({ id, text }) {
    const conversation = await webex.internal.conversation.get({ url: `${process.env.BASE}/conversation/api/v1/conversations/${id}` });
    const sent = await webex.internal.conversation.post(conversation, { displayName: text });
    return { id: sent.id };
  },
  async conversation_share({ id, base64, name }) {
    const conversation = await webex.internal.conversation.get({ url: `${process.env.BASE}/conversation/api/v1/conversations/${id}` });
    const file = Buffer.from(base64, 'base64');
    file.name = name;
    file.size = file.length;
    file.type = 'application/octet-stream';
    const sent = await webex.internal.conversation.share(conversation, { object: { files: [file] } });
    return { id: sent.id };
  },
  async conversation_download() {
    const shared = () => activities.find((activity) => activity.verb === 'share');
    while (!shared()) await new Promise((resolve) => { wake = resolve; });
    const item = shared().object.files.items[0];
    const file = await webex.internal.conversation.download(item);
    return { name: item.displayName, base64: Buffer.from(file).toString('base64') };
  },
  async unhandled() { return { unhandled }; },
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { do: name, ...parameters } = JSON.parse(line);
    try {
      log(JSON.stringify({ result: await commands[name](parameters) }));
    } catch (error) {
      log(JSON.stringify({
        error: { name: error.name, status: error.statusCode || null, text: String(error.message).slice(0, 300) },
      }));
    }
  }
  process.exit(0);
})();
