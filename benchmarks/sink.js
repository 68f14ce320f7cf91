// A stand-in for the Webex cloud that costs next to nothing: answers made before the first request, written as they are.
//
// It reads HTTP/1.1 straight from the socket, because Node's own http module costs several times more a request and would
// then be what is measured. It keeps connections, takes pipelined requests, skips bodies by Content-Length, and knows only
// the few requests of the benchmark. It prints its port, and ends with its standard input.
'use strict';
const net = require('net');

const ORG = '0a57ab1e-0000-4000-8000-000000000001';
const ROOMS = 10000;
const id = (kind, uuid) => Buffer.from(`ciscospark://us/${kind}/${uuid}`).toString('base64').replace(/=+$/, '');
const uuid = (n) => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
const person = (n) => ({
  id: id('PEOPLE', uuid(n)), emails: [`person${n}@example.com`], phoneNumbers: [], displayName: `Person ${n}`,
  nickName: 'Person', firstName: 'Person', lastName: `${n}`, orgId: id('ORGANIZATION', ORG), created: '2026-01-01T00:00:00.000Z',
  lastModified: '2026-01-02T00:00:00.000Z', lastActivity: '2026-01-03T00:00:00.000Z', status: 'active', type: 'person',
  roles: [], licenses: [], timeZone: 'Europe/Berlin', invitePending: 'false', loginEnabled: 'true',
});
const room = (n) => ({
  id: id('ROOM', uuid(n)), title: `Room ${n}`, type: 'group', isLocked: false, isPublic: false, isReadOnly: false,
  isAnnouncementOnly: false, creatorId: id('PEOPLE', uuid(n % 97)), ownerId: id('ORGANIZATION', ORG),
  created: '2026-01-01T00:00:00.000Z', lastActivity: '2026-01-03T00:00:00.000Z', description: 'A room of the benchmark',
});

function answer(body, headers = '') {
  const content = Buffer.from(JSON.stringify(body));
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=utf-8\r\nDate: ${new Date().toUTCString()}\r\n`
    + `Trackingid: SINK_${ORG}\r\n${headers}Content-Length: ${content.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), content]);
}

const pages = new Map(); // "max:first" to the whole answer
let base = '';
function roomsPage(max, first) {
  const key = `${max}:${first}`;
  if (!pages.has(key)) {
    const items = Array.from({ length: Math.min(max, ROOMS - first) }, (_, index) => room(first + index));
    const next = first + max < ROOMS ? `Link: <${base}/v1/rooms?max=${max}&cursor=${first + max}>; rel="next"\r\n` : '';
    pages.set(key, answer({ items }, next));
  }
  return pages.get(key);
}

const me = answer(person(0));
const empty = answer({});
const people = new Map();
function personOf(token) {
  const number = /^user(\d+)_/.exec(token);
  if (!number) return me;
  if (!people.has(token)) people.set(token, answer(person(Number(number[1]))));
  return people.get(token);
}
function tokens(body) {
  const form = new URLSearchParams(body);
  const user = form.get('code') || 'user0';
  return answer({
    access_token: `${user}_A52D_${ORG}`, expires_in: 1209600, refresh_token: `refresh-${user}`, token_type: 'Bearer',
    refresh_token_expires_in: 7776000, scope: form.get('scope') || 'spark:all spark:kms spark:people_read',
  });
}
function catalog() {
  const entry = [{ host: '127.0.0.1', id: 'urn:TEAM:us-east-2_a:identityLookup' }];
  return answer({
    serviceLinks: {
      identityLookup: `${base}/conversation/api/v1`, hydra: `${base}/v1`, wdm: `${base}/wdm/api/v1`, idbroker: base,
      encryption: `${base}/encryption/api/v1`, metrics: `${base}/metrics/api/v1`, identity: base,
    },
    hostCatalog: { '127.0.0.1': entry, [base.slice('http://'.length)]: entry },
  });
}

let requests = 0;
function respond(method, target, head, body) {
  requests += 1;
  if (target === '/v1/people/me' || target.startsWith('/v1/people/me?')) {
    return personOf((/\r\nauthorization: Bearer ([^\r]*)/i.exec(head) || ['', ''])[1]);
  }
  if (target.startsWith('/v1/rooms')) {
    const query = new URLSearchParams(target.split('?')[1] || '');
    return roomsPage(Number(query.get('max') || 100), Number(query.get('cursor') || 0));
  }
  if (method === 'POST' && target.endsWith('/access_token')) return tokens(body);
  if (target.startsWith('/u2c/')) return catalog();
  if (target === '/sink') return answer({ requests, cpuMicroseconds: process.cpuUsage().user + process.cpuUsage().system });
  return empty;
}

const server = net.createServer({ noDelay: true }, (socket) => {
  let waiting = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    waiting = waiting.length ? Buffer.concat([waiting, chunk]) : chunk;
    for (;;) {
      const end = waiting.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = waiting.latin1Slice(0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head);
      const whole = end + 4 + (length ? Number(length[1]) : 0);
      if (waiting.length < whole) return;
      const [method, target] = head.slice(0, head.indexOf('\r\n')).split(' ');
      socket.write(respond(method, target, head, waiting.latin1Slice(end + 4, whole)));
      waiting = waiting.subarray(whole);
    }
  });
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', 2048, () => {
  base = `http://127.0.0.1:${server.address().port}`;
  for (const max of [100, 1000]) for (let first = 0; first < ROOMS; first += max) roomsPage(max, first);
  console.log(base);
});
process.stdin.on('end', () => process.exit(0)).resume();
