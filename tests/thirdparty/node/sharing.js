// The conversation plugin of the npm package `webex`, on command: each line on standard input is {"do": NAME, ...} and is
// answered with one line. Nothing of the package is changed; see load.js for what Node cannot load of it.
'use strict';
const readline = require('readline');
const { load } = require('./load.js');

const log = console.log.bind(console);
for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace']) console[level] = () => {};

const Webex = load(process.env.BASE);
const activities = [];
let webex;
let ours;
let wake = () => {};

const room = (id) => ours.get({ url: `${process.env.BASE}/conversation/api/v1/conversations/${id}` }, { activitiesLimit: 5 });
const base64 = (file) => Buffer.from(file).toString('base64');
const named = ({ data, name, type }) => Object.assign(Buffer.from(data, 'base64'), { name, displayName: name, type });

const commands = {
  async with_token({ token }) {
    webex = Webex.init({ credentials: { access_token: token } });
    await new Promise((resolve) => { webex.once('ready', resolve); });
    ours = webex.internal.conversation;
    webex.internal.mercury.on('event:conversation.activity', ({ data }) => { activities.push(data.activity); wake(); });
    await webex.internal.mercury.connect();
    return {};
  },
  async create({ participants, displayName, comment, tags, favorite }) {
    const made = await ours.create({ participants, displayName, comment, tags, favorite }, { forceGrouped: true });
    return { id: made.id };
  },
  async show({ id }) {
    const found = await room(id);
    return {
      title: found.displayName,
      tags: found.tags,
      key: found.defaultActivityEncryptionKeyUrl,
      said: found.activities.items.map((each) => [each.verb, each.object.displayName || null]),
      picture: found.avatar ? found.avatar.files.items[0].displayName : null,
    };
  },
  async verb({ id, verb }) { await ours[verb](await room(id)); return {}; },
  async update_key({ id }) { await ours.updateKey(await room(id)); return {}; },
  async post({ id, text }) { return { id: (await ours.post(await room(id), { displayName: text })).id }; },
  async assign({ id, file }) { await ours.assign(await room(id), named(file)); return {}; },
  async share({ id, text, files }) {
    const conversation = await room(id);
    const share = ours.makeShare(conversation);
    share.object = { displayName: text };
    files.map(named).forEach((file) => share.add(file));
    const made = await ours.share(conversation, share);
    return { id: made.id };
  },
  async shared() {
    const found = () => activities.find((activity) => activity.verb === 'share');
    while (!found()) await new Promise((resolve) => { wake = resolve; });
    const { object, parent } = found();
    activities.splice(activities.indexOf(found()), 1);
    const files = [];
    for (const item of object.files.items) {
      const { image } = item;
      files.push({
        name: item.displayName,
        data: base64(await ours.download(item)),
        preview: image ? [image.width, image.height, base64(await ours.download(image))] : null,
      });
    }
    return { text: object.displayName, parent: parent ? parent.id : null, files };
  },
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
