// Shows what happens in the room as it happens. Whatever comes from others is text, never markup.
'use strict';
(() => {
  const list = document.querySelector('.messages[data-events]');
  if (!list) return;
  const find = (id) => [...list.children].find((item) => item.dataset.id === id);
  const part = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const add = (message) => {
    if (find(message.id)) return;
    const item = part('li', message.email === list.dataset.me ? 'mine' : '');
    item.dataset.id = message.id;
    item.append(part('span', `face c${Number(message.colour)}`, message.initials));
    const bubble = part('div', 'bubble');
    const meta = part('p', 'meta');
    meta.append(part('b', '', message.name), ' ', part('time', '', message.time));
    bubble.append(meta);
    if (message.text) bubble.append(part('p', 'text', message.text));
    message.files.forEach((file, index) => {
      const link = part('a', 'file');
      link.href = `/messages/${encodeURIComponent(message.id)}/files/${index}`;
      link.append(part('b', '', file.name), part('small', '', file.size));
      bubble.append(link);
    });
    item.append(bubble);
    list.querySelector('.empty')?.remove();
    list.append(item);
    item.scrollIntoView({ block: 'end' });
  };
  const source = new EventSource(list.dataset.events);
  const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
  source.addEventListener('open', () => { list.dataset.live = 'yes'; });
  on('created', add);
  on('updated', (message) => {
    const text = find(message.id)?.querySelector('.text');
    if (text) text.textContent = message.text;
  });
  on('deleted', (message) => find(message.id)?.remove());
  on('gap', () => location.reload());
})();
