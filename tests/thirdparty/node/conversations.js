// One story of the npm package's internal conversation plugin and its read status, told as one line of JSON: what each
// step gave. Nothing of the package is changed; see load.js for what Node cannot load of it.
'use strict';
const { load } = require('./load.js');

const log = console.log.bind(console);
for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace']) console[level] = () => {};

const { BASE, ALICE, BOB, BOB_ID, ADMIN_ID } = process.env;
const Webex = load(BASE);
const told = {};

const signedIn = async (token) => {
  const webex = Webex.init({ credentials: { access_token: token } });
  await new Promise((resolve) => { webex.once('ready', resolve); });
  await webex.internal.mercury.connect();
  return webex;
};

const story = async () => {
  const alice = await signedIn(ALICE);
  const bob = await signedIn(BOB);
  const ours = alice.internal.conversation;
  const theirs = bob.internal.conversation;
  const tags = async (conversation) => (await ours.get(conversation)).tags;

  const params = { participants: [BOB_ID], displayName: 'A title', comment: 'hi', tags: ['WELCOME'] };
  let room = await ours.create(params, { forceGrouped: true });
  const made = await ours.get(room, { activitiesLimit: 5 });
  told.create = [made.tags, made.activities.items.map((each) => [each.verb, each.object.displayName])];
  const direct = await ours.create({ participants: [BOB_ID], comment: 'hi' });
  told.direct = [direct.tags, (await ours.create({ participants: [BOB_ID] })).id === direct.id];
  told.favorite = await tags(await ours.create({ participants: [BOB_ID, ADMIN_ID], favorite: true }));

  told.verbs = {};
  for (const [verb, tag] of [['favorite', 'FAVORITE'], ['mute', 'MUTED'], ['hide', 'HIDDEN'], ['lock', 'LOCKED']]) {
    await ours[verb](room);
    const on = (await tags(room)).includes(tag);
    await ours[`un${verb}`](room);
    told.verbs[verb] = [on, (await tags(room)).includes(tag)];
  }
  await ours.muteMentions(room);
  await ours.unmuteMessages(room);
  told.notifications = await tags(room);
  await ours.removeAllMuteTags(room);
  told.quiet = await tags(room);

  const post = await ours.post(room, { displayName: 'React to me' });
  const reaction = await ours.addReaction(room, 'heart', post);
  const summaries = await ours.getReactionSummaryByParentId(room.url, post.id, { activityType: 'reactionSummary' });
  told.reactions = summaries.map((each) => [
    each.type, each.activity.object.reactions.map(({ displayName, count }) => [displayName, count]),
  ]);
  told.tombstone = (await ours.deleteReaction(room, reaction.id)).object.verb;

  const before = (await ours.get(room)).defaultActivityEncryptionKeyUrl;
  await ours.updateKey(await ours.get(room));
  room = await ours.get(room);
  await bob.internal.encryption.kms.fetchKey({ uri: room.defaultActivityEncryptionKeyUrl });
  told.updateKey = room.defaultActivityEncryptionKeyUrl !== before;

  await ours.post(room, 'an answer', { parentActivityId: post.id, activityType: 'reply' });
  told.threads = (await ours.listThreads()).map((each) => [
    each.conversationId === room.id, each.childActivities.map((child) => child.object.displayName),
  ]);
  const first = await ours.paginate({ conversationsLimit: 1, personRefresh: false, paginate: true });
  const second = await ours.paginate({ page: first.page });
  told.paginate = [first, second].map((each) => each.page.items.length);

  const last = await ours.post(room, { displayName: 'Read me' });
  const receipt = await theirs.acknowledge(room, last);
  const [shown] = (await ours.get(room, { activitiesLimit: 1 })).activities.items;
  told.acknowledge = shown.url === receipt.object.url;

  const { id: roomId } = await alice.rooms.create({ title: 'Read status' });
  await alice.memberships.create({ roomId, personEmail: 'bob@example.com' });
  const seen = async () => {
    const { items } = await alice.memberships.listWithReadStatus({ roomId });
    return items.filter((each) => each.lastSeenId).map((each) => each.personEmail).sort();
  };
  const unread = async () => {
    const status = await alice.rooms.getWithReadStatus(roomId);
    return status.lastActivityDate > status.lastSeenActivityDate;
  };
  told.seen = [await seen()];
  const message = await bob.messages.create({ roomId, text: 'hello' });
  told.seen.push(await seen());
  told.unread = [await unread()];
  await alice.memberships.updateLastSeen(message);
  told.unread.push(await unread());
  told.listed = (await alice.rooms.listWithReadStatus()).items.map((each) => each.title).includes('Read status');

  const note = Buffer.from('a note');
  Object.assign(note, { name: 'a.txt', displayName: 'a.txt', type: 'text/plain', mimeType: 'text/plain' });
  const share = await ours.share(room, [note]);
  told.share = [share.verb, (await theirs.download(share.object.files.items[0])).toString()];
  await ours.assign(room, note);
  const [picture] = (await ours.get(room)).avatar.files.items;
  await ours.unassign(room);
  told.assign = [picture.displayName, 'avatar' in (await ours.get(room))];

  await theirs.leave(room);
  told.left = (await theirs.listLeft()).map((each) => each.id === room.id);
};

story().then(
  () => { log(JSON.stringify(told)); process.exit(0); },
  (error) => { log(JSON.stringify({ ...told, failed: String(error && error.stack) })); process.exit(1); },
);
