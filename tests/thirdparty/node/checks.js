// What the stories of the Node clients share: named steps, counted checks, and events that are waited for.
'use strict';
const assert = require('assert');

const log = console.log.bind(console);
for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace']) console[level] = () => {};

let checks = 0;
const done = [];
const failed = [];
// `webex` 2 fetches a message when an event names it. If the story has deleted the message by then, the client
// leaves the 404 unhandled.
const gone = (error) => error && error.statusCode === 404 && String(error.message).startsWith('Unable to get message.');
process.on('unhandledRejection', (error) => {
  if (!gone(error)) failed.push(`unhandled: ${error && error.stack}`);
});

exports.equal = (got, wanted) => {
  checks += 1;
  assert.deepStrictEqual(JSON.parse(JSON.stringify(got)), wanted);
};
exports.ok = (value, text) => {
  checks += 1;
  assert.ok(value, text);
};
// The HTTP status with which a call is refused.
exports.refused = async (call, status) => {
  checks += 1;
  const error = await Promise.resolve(call()).then(() => null, (reason) => reason);
  assert.ok(error, 'it was not refused');
  assert.strictEqual(error.statusCode, status);
};
exports.step = async (name, run) => {
  try {
    await run();
    done.push(name);
  } catch (error) {
    failed.push(`${name}: ${error && error.stack}`.slice(0, 1500));
  }
};
// The items of all pages.
exports.all = async (first) => {
  const items = [...first.items];
  for (let page = first; page.hasNext();) {
    page = await page.next();
    items.push(...page.items);
  }
  return items;
};
// What an emitter tells from now on; `next(fits)` waits for the first of it that fits.
exports.listen = (emitter, events) => {
  const came = [];
  let wake = () => {};
  for (const event of events) emitter.on(event, (data) => { came.push(data); wake(); });
  return {
    async next(fits) {
      for (;;) {
        const found = came.findIndex(fits);
        if (found >= 0) return came.splice(found, 1)[0];
        await new Promise((resolve) => { wake = resolve; });
      }
    },
  };
};
exports.tell = (version) => {
  log(JSON.stringify({ version, checks, steps: done, failed }));
  process.exit(failed.length ? 1 : 0);
};
