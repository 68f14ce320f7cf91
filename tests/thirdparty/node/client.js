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
