// The scenario `log`: the segment log on the disk of the temporary folder.

import {
  DRAIN_ID,
  fileAppends,
  fileDuelId,
  logAppends,
  logDrains,
  logDuelId,
  logOpens,
  openDuelId,
} from '../rivals/naru-log.ts';
import { byHand, handDuelId, mailboxDuelId, mailboxWorks } from '../rivals/log-mailbox.ts';
import type { Figures } from './goals.ts';
import { atLeast, noted } from './goals.ts';
import { scenarioOf } from './plan.ts';
import type { Goal, Scenario } from './scenario.ts';

const SMALL = 128;
const LARGE = 1024;

function goalsOf(figures: Figures): Goal[] {
  return [
    atLeast('durable, 128 B', 150_000, figures.median(logDuelId('disk', SMALL)), 'msg/s'),
    atLeast('in the hands of the system, 128 B', 1_000_000, figures.median(logDuelId('os', SMALL)), 'msg/s'),
    noted(
      'durable, against the bare calls, 128 B',
      figures.ratio(logDuelId('disk', SMALL), fileDuelId(SMALL)),
      '×',
    ),
    noted(
      'durable, against the bare calls, 1 KiB',
      figures.ratio(logDuelId('disk', LARGE), fileDuelId(LARGE)),
      '×',
    ),
    // 1,000,000 records in 3 s; 100,000 in 2 s.
    atLeast('opening after a clean stop', 333_333, figures.median(openDuelId('clean')), 'msg/s'),
    atLeast('opening after a kill', 50_000, figures.median(openDuelId('kill')), 'msg/s'),
    noted(
      'a backlog is drained, against filling it durably',
      figures.ratio(DRAIN_ID, logDuelId('disk', SMALL)),
      '×',
    ),
    atLeast(
      'file:///folder, placed, many senders, 128 B',
      1_000_000,
      figures.median(mailboxDuelId('lists', 'placed')),
      'msg/s',
    ),
    atLeast(
      'file:///folder, durable, many senders, 128 B',
      200_000,
      figures.median(mailboxDuelId('lists', 'durable')),
      'msg/s',
    ),
    noted(
      'file:///folder, placed, many senders, against a write by hand',
      figures.ratio(mailboxDuelId('lists', 'placed'), handDuelId('placed')),
      '×',
    ),
    noted(
      'file:///folder, durable, many senders, against a write and a sync by hand',
      figures.ratio(mailboxDuelId('lists', 'durable'), handDuelId('durable')),
      '×',
    ),
  ];
}

export const log: Scenario = scenarioOf({
  name: 'log',
  summary: 'the segment log: appending at each level, opening, reading back; file:///folder on it',
  title: 'The segment log',
  parts: [
    {
      id: 'append',
      title: 'Records a second',
      note: `One thread appends records one by one and has at most 4,096 that are not confirmed, as many clients of a broker would; what is
confirmed is removed. Level disk: confirmed after fdatasync(2); os: after write(2); memory: written in some milliseconds, and measured up to
there. The bare calls write and sync as many bytes as a group of 2,048 has, into a file that grows.`,
      unit: 'msg/s',
      duels: [SMALL, LARGE].flatMap((bytes) => [
        fileAppends(bytes),
        logAppends('memory', bytes),
        logAppends('os', bytes),
        logAppends('disk', bytes),
      ]),
    },
    {
      id: 'mailbox',
      title: 'Messages a second through file:///folder',
      note: `One process is host, sender and, where it says so, consumer. Lists are of 1,000 messages; a receipt is awaited for each list, or for each single send.
By hand: bodies with their lengths in one buffer, written with one call, synced with another.`,
      unit: 'msg/s',
      duels: [
        byHand('placed', SMALL),
        mailboxWorks('list', 'placed', SMALL),
        mailboxWorks('lists', 'placed', SMALL),
        mailboxWorks('calls', 'placed', SMALL),
        mailboxWorks('consumed', 'placed', SMALL),
        byHand('durable', SMALL),
        mailboxWorks('list', 'durable', SMALL),
        mailboxWorks('lists', 'durable', SMALL),
        mailboxWorks('calls', 'durable', SMALL),
        mailboxWorks('consumed', 'durable', SMALL),
      ],
    },
    {
      id: 'recovery',
      title: 'Records a second while opening and reading back',
      note: `A folder with records of 128 bytes, all alive, is opened after a clean stop, or as a kill leaves it (a copy of the files of a log that
runs); its owner is told of every record. Reading back: each record in order, checked, and removed.`,
      unit: 'msg/s',
      duels: [logOpens('clean', SMALL), logOpens('kill', SMALL), logDrains(SMALL)],
    },
  ],
  goals: goalsOf,
});
