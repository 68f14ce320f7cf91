// The internal plugins of the Node clients: devices, the socket, encrypted conversations, features, presence, users.
'use strict';
const { equal, listen, ok, refused, step } = require('./checks.js');

exports.story = async (alice, bob) => {
  const ours = alice.internal;
  const theirs = bob.internal;
  const uuid = (client) => client.internal.device.userId;

  await step('device', async () => {
    await ours.device.register();
    ok(ours.device.registered);
    const { url } = ours.device;
    await ours.device.refresh();
    equal(ours.device.url, url);
    ok(ours.device.webSocketUrl.startsWith('ws'));
    equal(typeof uuid(alice), 'string');
  });

  await step('mercury', async () => {
    await ours.mercury.connect();
    ok(ours.mercury.connected);
    await ours.mercury.disconnect();
    equal(ours.mercury.connected, false);
    await ours.mercury.connect();
    await theirs.mercury.connect();
    ok(ours.mercury.connected && theirs.mercury.connected);
  });

  await step('feature', async () => {
    equal((await ours.feature.setFeature('developer', 'a-feature', true)).key, 'a-feature');
    equal(await ours.feature.getFeature('developer', 'a-feature'), true);
    await ours.device.refresh();
    equal(await ours.feature.getFeature('developer', 'a-feature'), true);
    if (!ours.feature.setBundledFeatures) return;
    const two = ['one', 'two'].map((key) => ({ key, val: `value of ${key}`, type: 'USER', mutable: 'true' }));
    await ours.feature.setBundledFeatures(two);
    equal(await ours.feature.getFeature('user', 'two'), 'value of two');
  });

  await step('user', async () => {
    equal(await ours.user.asUUID('bob@example.com'), uuid(bob));
    equal((await ours.user.get()).id, uuid(alice));
  });

  await step('conversation', async () => {
    const heard = listen(theirs.mercury, ['event:conversation.activity']);
    const posted = (text) => heard.next(
      ({ data: { activity } }) => activity.verb === 'post' && activity.object.displayName === text,
    );
    const params = { participants: [uuid(bob)], displayName: 'Encrypted', comment: 'First' };
    const room = await ours.conversation.create(params, { forceGrouped: true });
    const made = await ours.conversation.get(room, { activitiesLimit: 5 });
    equal([made.displayName, made.activities.items.map((each) => each.verb)], ['Encrypted', ['create', 'post']]);
    await posted('First');
    const post = await ours.conversation.post(room, { displayName: 'Hello', content: '<b>Hello</b>' });
    const event = await posted('Hello');
    equal([event.data.activity.id, event.data.activity.object.content], [post.id, '<b>Hello</b>']);
    const listed = await theirs.conversation.listActivities({ conversationUrl: room.url });
    equal(listed.map((each) => each.object.displayName).filter(Boolean).slice(-2), ['First', 'Hello']);
    const mention = {
      displayName: 'Bob',
      content: `<spark-mention data-object-type="person" data-object-id="${uuid(bob)}">Bob</spark-mention>`,
      mentions: { items: [{ id: uuid(bob), objectType: 'person' }] },
    };
    const named = await ours.conversation.post(room, mention);
    const since = Date.parse(named.published) - 1;
    equal((await theirs.conversation.listMentions({ sinceDate: since })).map((each) => each.url), [named.url]);
    await ours.conversation.update(room, { displayName: 'Renamed', objectType: 'conversation' });
    equal((await theirs.conversation.get(room)).displayName, 'Renamed');
    await ours.conversation.updateTypingStatus(room, { typing: true });
    await ours.conversation.delete(room, post);
    equal((await heard.next(({ data }) => data.activity.verb === 'delete')).data.activity.object.id, post.id);
    await theirs.conversation.acknowledge(room, named);
    const note = Buffer.from('a note');
    Object.assign(note, { name: 'a.txt', displayName: 'a.txt', type: 'text/plain', mimeType: 'text/plain' });
    const share = await ours.conversation.share(room, [note]);
    const { data: { activity } } = await heard.next(({ data }) => data.activity.verb === 'share');
    equal(activity.id, share.id);
    const file = await theirs.conversation.download(activity.object.files.items[0]);
    equal([activity.object.files.items[0].displayName, Buffer.from(file).toString()], ['a.txt', 'a note']);
    await ours.conversation.leave(room, { id: uuid(bob), objectType: 'person' });
    await refused(() => theirs.conversation.get(room), 404);
    const direct = await ours.conversation.create({ participants: [uuid(bob)], comment: 'Psst' });
    ok(direct.tags.includes('ONE_ON_ONE'));
    await posted('Psst');
  });

  if (ours.presence) {
    await step('presence', async () => {
      await theirs.presence.setStatus('dnd', 600);
      equal((await ours.presence.get(uuid(bob))).status, 'dnd');
      ok((await ours.presence.subscribe(uuid(bob), 60)).responses.length === 1);
      await ours.presence.unsubscribe(uuid(bob));
      equal((await ours.presence.list([uuid(alice), uuid(bob)])).statusList.length, 2);
    });
  }

  await step('the end', async () => {
    await ours.mercury.disconnect();
    await theirs.mercury.disconnect();
    await ours.device.unregister();
    await theirs.device.unregister();
    equal([ours.device.registered, theirs.device.registered].map(Boolean), [false, false]);
  });
};
