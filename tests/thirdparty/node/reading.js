// Read status and reactions of the npm package `webex`, unchanged. Commands come as lines of JSON on standard input:
// {"do": NAME, ...}; each is answered with one line. See load.js for what Node cannot load of the package.
'use strict';
const readline = require('readline');
const { load } = require('./load.js');

const log = console.log.bind(console);
for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace']) console[level] = () => {};

const Webex = load(process.env.BASE);
const plain = (model) => JSON.parse(JSON.stringify(model));
const seen = [];
const activities = [];
let wake = () => {};
let webex;

const room = (id) => webex.internal.conversation.get({ url: `${process.env.BASE}/conversation/api/v1/conversations/${id}` });
const find = async (listed, wanted) => {
  for (;;) {
    const at = listed.findIndex(wanted);
    if (at >= 0) return listed.splice(at, 1)[0];
    await new Promise((resolve) => { wake = resolve; });
  }
};
const activity = async (conversation, id) => {
  const { items } = (await webex.internal.conversation.get(conversation, { activitiesLimit: 50 })).activities;
  return items.find((each) => each.id === id);
};

const commands = {
  async with_token({ token }) {
    webex = Webex.init({ credentials: { access_token: token } });
    await new Promise((resolve) => { webex.once('ready', resolve); });
    await webex.memberships.listen();
    webex.memberships.on('seen', (event) => { seen.push(plain(event)); wake(); });
    webex.internal.mercury.on('event:conversation.activity', ({ data }) => { activities.push(data.activity); wake(); });
    return {};
  },
  async rooms({ maxRecent }) { return plain(await webex.rooms.listWithReadStatus(maxRecent || 0)); },
  async room({ roomId }) { return plain(await webex.rooms.getWithReadStatus(roomId)); },
  async members({ roomId }) { return plain(await webex.memberships.listWithReadStatus({ roomId })); },
  async read({ id, roomId }) { return plain(await webex.memberships.updateLastSeen({ id, roomId })); },
  async seen() { return find(seen, () => true); },
  async post({ room: id, text, parentActivityId }) {
    const options = parentActivityId ? { parentActivityId, activityType: 'reply' } : undefined;
    return { id: (await webex.internal.conversation.post(await room(id), { displayName: text }, options)).id };
  },
  async react({ room: id, message, name }) {
    const conversation = await room(id);
    const made = await webex.internal.conversation.addReaction(conversation, name, await activity(conversation, message));
    return { id: made.id };
  },
  async unreact({ room: id, reaction }) {
    const made = await webex.internal.conversation.deleteReaction(await room(id), reaction);
    return { verb: made.object.verb };
  },
  async proof({ room: id, message, name }) {
    return { hmac: await webex.internal.conversation.createReactionHmac(name, await activity(await room(id), message)) };
  },
  async summary({ room: id, message }) {
    const { url } = await room(id);
    const query = { activityType: 'reactionSummary', includeChildren: true };
    const found = await webex.internal.conversation.getReactionSummaryByParentId(url, message, query);
    const named = ({ displayName, count }) => [displayName, count];
    return Object.fromEntries(found.map((each) => [each.type, each.activity.object.reactions.map(named)]));
  },
  async reaction({ verb }) {
    const found = await find(activities, (each) => each.verb === verb
      && (each.object.objectType === 'reaction2' || (each.object.parent || {}).type === 'reaction'));
    return { id: found.id, name: found.object.displayName || null, hmac: found.object.hmac || null, object: found.object.id || null };
  },
  async threads() {
    const shown = (each) => [each.parentActivityId, each.childActivities.map((child) => child.object.displayName)];
    return { threads: (await webex.internal.conversation.listThreads()).map(shown) };
  },
  async mentions() {
    const found = await webex.internal.conversation.listMentions({ sinceDate: 0 });
    return { texts: found.map((each) => each.object.displayName) };
  },
  async activities({ room: id }) {
    const { url } = await room(id);
    const found = await webex.internal.conversation.listActivities({ conversationUrl: url, limit: 100 });
    return { texts: found.filter((each) => each.verb === 'post').map((each) => each.object.displayName) };
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
