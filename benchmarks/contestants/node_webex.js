// The npm package `webex` 3.12.0. Commands come as lines of JSON on standard input; each is answered with one line.
'use strict';
const path = require('path');
const readline = require('readline');
const { load } = require('../../tests/thirdparty/node/load.js');

const base = process.argv[2];
const ORG = '0a57ab1e-0000-4000-8000-000000000001';
const log = console.log.bind(console);
for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace']) console[level] = () => {}; // the package chats
process.on('unhandledRejection', () => {});

const started = process.hrtime.bigint();
const Webex = load(base);
const { NotFoundError } = require(path.join(process.env.WEBEX_NODE_MODULES, '@webex/webex-core'));
const loading = Number(process.hrtime.bigint() - started) / 1e9;

const seconds = (since) => Number(process.hrtime.bigint() - since) / 1e9;
const withToken = () => Webex.init({ credentials: { access_token: `user0_A52D_${ORG}` } });
let client;

// The storage adapter of the Node guide, bound to one session.
class Adapter {
  constructor(data) { this.data = data; }

  bind(namespace) {
    const values = (this.data[namespace] ||= {});
    return Promise.resolve({
      get: (key) => (key in values ? Promise.resolve(values[key]) : Promise.reject(new NotFoundError())),
      put: (key, value) => { values[key] = value; return Promise.resolve(); },
      del: (key) => { delete values[key]; return Promise.resolve(); },
      clear: () => Promise.resolve(),
    });
  }
}
function perRequest() {
  const data = { Credentials: { '@': { supertoken: { access_token: `user0_A52D_${ORG}`, expires: Date.now() + 864e5 } } } };
  const view = Webex.init({
    config: {
      credentials: { client_id: 'C0', client_secret: 's', redirect_uri: 'http://127.0.0.1/', scope: 'spark:all' },
      storage: { boundedAdapter: new Adapter(data), unboundedAdapter: new Adapter({}) },
    },
  });
  return new Promise((resolve) => view.once('ready', () => resolve(view)));
}

const me = () => client.request({ service: 'hydra', resource: 'people/me' });
const cases = {
  async view({ n }) {
    const kept = [];
    global.gc?.();
    const before = process.memoryUsage().rss;
    const since = process.hrtime.bigint();
    for (let i = 0; i < n; i += 1) kept.push(await perRequest());
    const took = seconds(since);
    global.gc?.();
    return { seconds: took, bytes: process.memoryUsage().rss - before, kept: kept.length };
  },
  async sequential({ n }) {
    const since = process.hrtime.bigint();
    for (let i = 0; i < n; i += 1) await me();
    return { seconds: seconds(since) };
  },
  async concurrent({ n, at_once: atOnce }) {
    const since = process.hrtime.bigint();
    let left = n;
    await Promise.all(Array.from({ length: atOnce }, async () => {
      while (left-- > 0) await me();
    }));
    return { seconds: seconds(since) };
  },
  async list({ size }) {
    const since = process.hrtime.bigint();
    let page = await client.rooms.list({ max: size });
    let count = page.items.length;
    while (page.hasNext()) {
      page = await page.next();
      count += page.items.length;
    }
    return { seconds: seconds(since), count };
  },
  async loading() {
    return { seconds: loading };
  },
};

(async () => {
  client = withToken();
  await new Promise((resolve) => client.once('ready', resolve));
  await me();
  log(JSON.stringify({ ready: true }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    try {
      log(JSON.stringify(await cases[command.case](command)));
    } catch (error) {
      log(JSON.stringify({ error: String(error && error.stack).slice(0, 500) }));
    }
  }
  process.exit(0);
})();
