// Routes of Naru's own handles: a link (docs/internals/link-protocol.md) over ordinary requests. client-stream.ts is its other end.

import { type Exchange, invalid, type Parameter } from './exchange.ts';
import { LINK_ID, LINK_OFFSET, LINK_TYPE, PIECE_BYTES_MAX } from './link-words.ts';
import type { Door, Route } from './route.ts';

const OFFSET: Parameter = {
  name: LINK_OFFSET,
  in: 'header',
  schema: { type: 'integer', minimum: 0, maximum: 2 ** 49 },
  text: 'bytes of the link before this piece',
};
const BYTES = { [LINK_TYPE]: { type: 'string', format: 'binary' } } as const;

export const LINKING: readonly Route[] = [
  {
    method: 'POST',
    path: '/link',
    operation: 'openLink',
    summary: 'For handles of Naru: open a link',
    text: `What the host says is the body of the answer, which does not end; the header ${LINK_ID} names the link.`,
    parameters: [],
    replies: { 200: { text: 'what the host says', content: BYTES } },
    problems: [410],
    example: 'open("http://…") in Naru',
    handle: openLink,
  },
  {
    method: 'POST',
    path: '/link/{id}',
    operation: 'feedLink',
    summary: 'For handles of Naru: a piece of what the handle says',
    text: 'One at a time. A piece that came before is passed over.',
    parameters: [OFFSET],
    body: { text: 'bytes of the link', required: true, content: BYTES },
    replies: { 204: { text: 'taken: the next may come' } },
    problems: [404, 413],
    example: 'open("http://…") in Naru',
    handle: feed,
  },
];

function openLink(exchange: Exchange, door: Door): Promise<void> {
  door.links.open(exchange.response);
  return Promise.resolve();
}

async function feed(exchange: Exchange, door: Door): Promise<void> {
  const stream = door.links.find(exchange.id);
  let offset = exchange.number(OFFSET);
  if (offset === undefined) throw invalid(`the header ${LINK_OFFSET} is missing`);
  // As it comes: a piece takes no memory but that of the link.
  for await (const part of exchange.parts(PIECE_BYTES_MAX)) {
    await stream.feed(offset, part);
    offset += part.length;
  }
  await exchange.send(204, undefined);
}
