// The page at `/`: the broker's state in tables, for people. Plain HTML without scripts.

import type { Core } from '../../core.ts';
import type { Listener } from '../listener.ts';
import { queuesIn } from './visible.ts';

export function statePage(core: Core, listener: Listener): string {
  const { pageRowsMax } = core.limits;
  const queues = queuesIn([...core.vhosts.values()]);
  const queueRows = queues.map(({ vhost, name, ready, unacked, consumers }) => [
    vhost,
    name,
    ready,
    unacked,
    consumers.size,
  ]);
  const connectionRows = Array.from(listener.sessions, ({ connection, channels, state }) => [
    connection.name,
    connection.user?.name ?? '',
    connection.vhost?.name ?? '',
    channels.size,
    state,
  ]);
  const state = core.blocked === undefined ? 'running' : `publishers wait: ${core.blocked}`;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Naru broker</title></head><body>
<h1>Naru broker</h1><p>${escape(state)}; ${core.messages.count} messages, ${core.messages.bytes} bytes.</p>
<h2>Queues</h2>${table(['virtual host', 'queue', 'ready', 'unacked', 'consumers'], queueRows, pageRowsMax)}
<h2>Connections</h2>${table(['client', 'user', 'virtual host', 'channels', 'state'], connectionRows, pageRowsMax)}
</body></html>`;
}

function table(
  titles: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  rowsMax: number,
): string {
  const line = (cells: readonly (string | number)[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escape(String(cell))}</${tag}>`).join('')}</tr>`;
  const shown = rows.slice(0, rowsMax).map((row) => line(row, 'td'));
  const rest = rows.length > rowsMax ? `<p>and ${rows.length - rowsMax} more</p>` : '';
  return `<table border="1">${line(titles, 'th')}${shown.join('')}</table>${rest}`;
}

/** Names come from clients: they are text, never markup. */
function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
