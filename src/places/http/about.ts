// Routes about the mailbox itself: its numbers, and the document that describes its routes.

import type { Exchange } from './exchange.ts';
import { type Door, ref, type Route } from './route.ts';

export const ABOUT: readonly Route[] = [
  {
    method: 'GET',
    path: '',
    operation: 'stats',
    summary: 'Numbers of the mailbox',
    text: 'What waits, what is taken, who takes part.',
    parameters: [],
    replies: { 200: { text: 'the numbers', content: { 'application/json': ref('Stats') } } },
    problems: [],
    example: 'curl $URL',
    handle: stats,
  },
  {
    method: 'GET',
    path: '/openapi.json',
    operation: 'openapi',
    summary: 'This document',
    text: 'OpenAPI 3.1.',
    parameters: [],
    replies: { 200: { text: 'the document', content: { 'application/json': { type: 'object' } } } },
    problems: [],
    example: 'curl $URL/openapi.json',
    handle: (exchange, door) => exchange.answer(200, door.document(exchange.base)),
  },
];

async function stats(exchange: Exchange, { host, path }: Door): Promise<void> {
  const { depth, depthBytes, unsettled, producers, consumers, dropped } = host.stats();
  const { deliver, capacityMessages, capacityBytes, maxMessageBytes } = host.settings;
  await exchange.answer(200, {
    name: path.slice(1),
    deliver,
    depth,
    depthBytes,
    unsettled,
    producers,
    consumers,
    capacityMessages,
    capacityBytes,
    maxMessageBytes,
    dropped,
  });
}
