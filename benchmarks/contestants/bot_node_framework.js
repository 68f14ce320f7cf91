// A bot of `webex-node-bot-framework` that repeats the last word of `echo …`. BASE and BOT say where the emulator is,
// WEBEX_NODE_MODULES where npm put the package. Nothing of it is changed.
'use strict';
const path = require('path');
const { cloudIs } = require('../../tests/thirdparty/node/load.js');

const log = console.log.bind(console);
for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace']) console[level] = () => {};
cloudIs(process.env.BASE);
const Framework = require(path.join(process.env.WEBEX_NODE_MODULES, 'webex-node-bot-framework'));

const framework = new Framework({ token: process.env.BOT });
framework.hears('echo', (bot, trigger) => bot.say(trigger.args[trigger.args.length - 1]));
framework.on('initialized', () => log(JSON.stringify({ ready: true })));
framework.start().catch((error) => {
  log(JSON.stringify({ error: String((error && error.stack) || error) }));
  process.exit(1);
});
