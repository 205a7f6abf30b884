// postgres://user:password@host/database?mailbox=name: a mailbox as a table in PostgreSQL, over one connection per handle. Joins the
// parts of this folder; maps are state.ts.

import type { Driver } from '../../mailbox/driver.ts';
import type { Place } from '../../mailbox/place.ts';
import { EngineDriver } from '../../engine-queue/driver.ts';
import { checkBox } from '../../engine-queue/settings.ts';
import { Tables } from '../../sql-queue/tables.ts';
import { PgLink, POSTGRES_DIALECT, PostgresBackend } from './backend.ts';
import { postgres } from './capabilities.ts';
import { pgTarget } from './client.ts';
import { factsOf } from './facts.ts';
import { findBox } from './mailbox-tables.ts';

export type { OutboxOptions, OutboxSendOptions } from '../../sql-queue/outbox.ts';
export { openOutbox, PostgresOutbox, type TransactionClient } from './outbox.ts';

export const place: Place = {
  modes: [postgres],
  parameters: ['mailbox', 'sslmode', 'host'],
  check(url, options) {
    checkBox(url, options);
    pgTarget(url);
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const name = checkBox(url, options);
    const link = await PgLink.open(pgTarget(url), options.signal);
    try {
      const { maxMessageBytes } = postgres.limits;
      const found = await link.reconnecting.run((connection) =>
        findBox(connection, name, url, options, maxMessageBytes),
      );
      options.signal.throwIfAborted();
      const { settings } = found;
      const facts = factsOf(url, found);
      return await EngineDriver.start({ facts, settings, hooks }, (listener) =>
        Tables.start({ facts, settings, dialect: POSTGRES_DIALECT, listener }, (changes) =>
          PostgresBackend.start(link, settings.id, changes),
        ),
      );
    } catch (error) {
      link.reconnecting.close();
      throw error;
    }
  },
};
