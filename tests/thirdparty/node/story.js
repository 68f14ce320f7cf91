// One story of a published Node client: every resource of the messaging API, listening, and its internal plugins.
// Told as one line of JSON: how many checks were made, the steps that went well, and those that did not.
// PACKAGE names the client: `webex` (3 and 2) or `ciscospark`. Nothing of the packages is changed.
'use strict';
const { load } = require('./load.js');
const { all, equal, listen, ok, refused, step, tell } = require('./checks.js');

const { ALICE, BASE, BOB, CLIENT_ID, CLIENT_SECRET, HOOK, PACKAGE, REDIRECT_URI } = process.env;
const Webex = load(BASE, PACKAGE);
const signIn = async (token) => {
  const client = Webex.init({ credentials: { access_token: token } });
  if (!client.ready) await new Promise((resolve) => { client.once('ready', resolve); });
  return client;
};
const emails = (items) => items.map((each) => each.personEmail).sort();
const BOTH = ['alice@example.com', 'bob@example.com'];
const CARD = {
  contentType: 'application/vnd.microsoft.card.adaptive',
  content: { type: 'AdaptiveCard', version: '1.2', body: [{ type: 'Input.Text', id: 'name' }], actions: [] },
};

const story = async () => {
  const alice = await signIn(ALICE);
  const bob = await signIn(BOB);
  const me = await alice.people.get('me');
  const other = await bob.people.get('me');
  const room = await alice.rooms.create({ title: 'A room' });

  await step('sign-in', async () => {
    const config = { credentials: { client_id: CLIENT_ID, client_secret: CLIENT_SECRET, redirect_uri: REDIRECT_URI } };
    config.credentials.scope = 'spark:all spark:kms';
    const app = Webex.init({ config });
    if (!app.ready) await new Promise((resolve) => { app.once('ready', resolve); });
    equal(!!app.canAuthorize, false);
    const login = new URL(
      app.credentials.buildLoginUrl({ clientType: 'confidential', state: { from: 'here' } }), BASE,
    );
    equal([login.origin, login.searchParams.get('client_id')], [BASE, CLIENT_ID]);
    // What Bob does in his browser, by the emulator's control API.
    const headers = { 'content-type': 'application/json', 'x-webex-emulator': '1' };
    const body = JSON.stringify({ login_url: login.href, as_: 'bob' });
    const answer = await fetch(`${BASE}/_emulator/sign_in`, { method: 'POST', headers, body });
    const code = new URL((await answer.json()).result).searchParams.get('code');
    await app.authorization.requestAuthorizationCodeGrant({ code });
    ok(app.canAuthorize && app.canRefresh);
    equal((await app.people.get('me')).emails, ['bob@example.com']);
    const before = app.credentials.supertoken.access_token;
    await app.refresh({ force: true });
    ok(app.credentials.supertoken.access_token !== before);
    equal((await app.people.get('me')).emails, ['bob@example.com']);
  });

  await step('people', async () => {
    equal([me.emails, me.type, me.displayName], [['alice@example.com'], 'person', 'Alice Example']);
    equal((await alice.people.get(other.id)).emails, other.emails);
    equal((await all(await alice.people.list({ email: 'bob@example.com' }))).map((each) => each.id), [other.id]);
    equal((await all(await alice.people.list({ displayName: 'Bob' }))).map((each) => each.id), [other.id]);
    const several = await alice.people.list([me.id, other.id]);
    equal((several.items || several).map((each) => each.id).sort(), [me.id, other.id].sort());
  });

  await step('rooms', async () => {
    const made = [room.id];
    for (const title of ['One', 'Two', 'Three']) made.push((await alice.rooms.create({ title })).id);
    equal((await all(await alice.rooms.list({ max: 2 }))).map((each) => each.id).sort(), made.sort());
    equal((await alice.rooms.get(room.id)).title, 'A room');
    equal((await alice.rooms.update({ id: room.id, title: 'Our room' })).title, 'Our room');
    await alice.rooms.remove(made.find((each) => each !== room.id));
    equal((await all(await alice.rooms.list())).length, 3);
    await refused(() => bob.rooms.get(room.id), 404);
  });

  await step('memberships', async () => {
    const third = 'admin@example.com';
    const membership = await alice.memberships.create({ roomId: room.id, personEmail: third });
    equal(emails(await all(await alice.memberships.list({ roomId: room.id, max: 1 }))), [third, 'alice@example.com']);
    equal((await alice.memberships.get(membership.id)).personId, membership.personId);
    equal((await alice.memberships.update({ id: membership.id, isModerator: true })).isModerator, true);
    equal((await alice.memberships.update({ id: membership.id, isModerator: false })).isModerator, false);
    await refused(() => alice.memberships.create({ roomId: room.id, personId: membership.personId }), 409);
    await alice.memberships.remove(membership.id);
    equal(emails(await all(await alice.memberships.list({ roomId: room.id }))), ['alice@example.com']);
    equal((await alice.memberships.create({ roomId: room.id, personId: other.id })).personEmail, 'bob@example.com');
    await refused(() => alice.memberships.create({ roomId: room.id, personEmail: 'bob@example.com' }), 409);
    equal(emails(await all(await bob.memberships.list({ roomId: room.id }))), BOTH);
  });

  await step('messages', async () => {
    const sent = [];
    for (let number = 0; number < 3; number += 1) {
      sent.unshift(await alice.messages.create({ roomId: room.id, markdown: `**Hello** ${number}` }));
    }
    const listed = await all(await bob.messages.list({ roomId: room.id, max: 2 }));
    equal(listed.map((each) => each.id), sent.map((each) => each.id));
    ok(listed[0].html.includes('<strong>Hello</strong>'));
    const answer = await bob.messages.create({ roomId: room.id, text: 'An answer', parentId: sent[0].id });
    equal((await alice.messages.get(answer.id)).parentId, sent[0].id);
    await refused(() => bob.messages.remove(sent[1].id), 403);
    await alice.messages.remove(sent[1]);
    await refused(() => alice.messages.get(sent[1].id), 404);
    const direct = await alice.messages.create({ toPersonEmail: 'bob@example.com', text: 'Psst' });
    equal(direct.roomType, 'direct');
    const again = await bob.messages.create({ toPersonId: me.id, text: 'Yes?' });
    equal([again.roomId, again.roomType], [direct.roomId, 'direct']);
  });

  await step('files', async () => {
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, index) => index % 256));
    bytes.name = 'bytes.bin';
    const message = await alice.messages.create({ roomId: room.id, text: 'A file', files: [bytes] });
    equal([message.text, message.files.length], ['A file', 1]);
    const answer = await bob.request({ uri: message.files[0], responseType: 'buffer' });
    ok(Buffer.compare(Buffer.from(answer.body), bytes) === 0);
    ok(answer.headers['content-disposition'].includes('bytes.bin'));
  });

  await step('teams', async () => {
    const team = await alice.teams.create({ name: 'A team' });
    equal((await alice.teams.update({ ...team, name: 'Our team' })).name, 'Our team');
    equal((await alice.teams.get(team)).name, 'Our team');
    equal((await all(await alice.teams.list())).map((each) => each.id), [team.id]);
    const member = await alice.teamMemberships.create({ teamId: team.id, personId: other.id, isModerator: true });
    equal((await alice.teamMemberships.get(member)).isModerator, true);
    equal((await alice.teamMemberships.update({ ...member, isModerator: false })).isModerator, false);
    equal(emails(await all(await bob.teamMemberships.list({ teamId: team.id, max: 1 }))), BOTH);
    const inside = await alice.rooms.create({ title: 'A room of the team', teamId: team.id });
    ok((await all(await alice.rooms.list({ teamId: team.id }))).some((each) => each.id === inside.id));
    await alice.teamMemberships.remove(member);
    equal(emails(await all(await alice.teamMemberships.list({ teamId: team.id }))), ['alice@example.com']);
    if (alice.teams.remove) await alice.teams.remove(team);
  });

  await step('webhooks', async () => {
    const given = { name: 'Mine', targetUrl: HOOK, resource: 'messages', event: 'created', secret: 'a secret' };
    const webhook = await alice.webhooks.create(given);
    equal([webhook.status, webhook.resource, webhook.targetUrl], ['active', 'messages', HOOK]);
    equal((await alice.webhooks.get(webhook)).id, webhook.id);
    equal((await all(await alice.webhooks.list())).map((each) => each.id), [webhook.id]);
    const changed = await alice.webhooks.update({ id: webhook.id, name: 'Yours', targetUrl: HOOK });
    equal([changed.name, changed.event], ['Yours', 'created']);
    await alice.messages.create({ roomId: room.id, text: 'For the webhook' });
    await alice.webhooks.remove(webhook);
    await refused(() => alice.webhooks.get(webhook), 404);
  });

  await step('listening', async () => {
    const names = ['messages', 'rooms', 'memberships', 'attachmentActions'];
    const resources = names.filter((name) => alice[name] && alice[name].listen);
    for (const name of resources) await bob[name].listen();
    const heard = Object.fromEntries(
      resources.map((name) => [name, listen(bob[name], ['created', 'updated', 'deleted'])]),
    );
    const message = await alice.messages.create({ roomId: room.id, text: 'Listen' });
    const created = await heard.messages.next((each) => each.event === 'created' && each.data.id === message.id);
    equal([created.resource, created.actorId, created.data.text], ['messages', me.id, 'Listen']);
    equal([created.data.roomId, created.data.roomType], [room.id, 'group']);
    await alice.messages.remove(message);
    equal((await heard.messages.next((each) => each.event === 'deleted')).data.id, message.id);
    await alice.rooms.update({ id: room.id, title: 'Told' });
    equal((await heard.rooms.next((each) => each.event === 'updated')).data.id, room.id);
    const second = await alice.rooms.create({ title: 'Another' });
    await alice.memberships.create({ roomId: second.id, personId: other.id });
    const joined = await heard.memberships.next(({ event, data }) => event === 'created' && data.roomId === second.id);
    equal(joined.data.personEmail, 'bob@example.com');
    const [membership] = (await alice.memberships.list({ roomId: second.id, personId: other.id })).items;
    equal(joined.data.id, membership.id);
    // Only now, when Bob's client has the room's key: `webex` 2 leaves a refusal of it unhandled.
    const last = await alice.messages.create({ roomId: second.id, text: 'Before you go' });
    await heard.messages.next((each) => each.data.id === last.id);
    await alice.memberships.remove(membership);
    equal((await heard.memberships.next((each) => each.event === 'deleted')).data.id, membership.id);
    if (!heard.attachmentActions) return;
    const card = await bob.messages.create({ roomId: room.id, text: 'A card', attachments: [CARD] });
    equal(card.attachments[0].content.body, CARD.content.body);
    const inputs = { name: 'Alice' };
    const action = await alice.attachmentActions.create({ type: 'submit', messageId: card.id, inputs });
    equal((await bob.attachmentActions.get(action.id)).inputs, inputs);
    const told = await heard.attachmentActions.next((each) => each.event === 'created');
    equal([told.data.id, told.data.messageId, told.data.inputs], [action.id, card.id, inputs]);
  });

  await require('./internal.js').story(alice, bob);
};

story()
  .catch((error) => step('the story', () => Promise.reject(error)))
  .then(() => tell(Webex.version));
