// The part of the scenario `engines` that is about http://: handles of Naru against a client of node:http, on the same host.

import { BODY_BYTES } from '../harness/bodies.ts';
import { httpSends, httpTakes, sendId, takeId, UNDER_WAY } from '../rivals/http-client.ts';
import { atLeast, type Figures } from './goals.ts';
import type { PlannedPart } from './plan.ts';
import type { Goal } from './scenario.ts';

export const httpParts: readonly PlannedPart[] = [
  {
    id: 'http-send',
    title: 'http://, sends a second',
    note: `Messages of ${BODY_BYTES} bytes from one process to the host in another, each answered when it is in the mailbox. node:http keeps its
connections and makes a request a message; a handle of Naru puts what gathers into one request.`,
    unit: 'msg/s',
    duels: httpSends,
  },
  {
    id: 'http-take',
    title: 'http://, messages taken and acked a second',
    note: `The same messages the other way, over one connection.`,
    unit: 'msg/s',
    duels: httpTakes,
  },
];

export function httpGoals(figures: Figures): Goal[] {
  return [
    ...UNDER_WAY.map((underWay) =>
      atLeast(
        `http://, send(), ${underWay} under way, against node:http`,
        0.9,
        figures.ratio(sendId('naru', underWay), sendId('bare', underWay)),
        '×',
      ),
    ),
    atLeast('http://, taking, against node:http', 0.9, figures.ratio(takeId('naru'), takeId('bare')), '×'),
  ];
}
