// sqlite:///file.db?mailbox=name: a mailbox as a table in a file that several processes of this machine use at once. Joins the parts of
// this folder; maps in such files are state.ts.

import type { Driver } from '../../mailbox/driver.ts';
import type { Place } from '../../mailbox/place.ts';
import { EngineDriver } from '../../engine-queue/driver.ts';
import { checkBox } from '../../engine-queue/settings.ts';
import { Tables } from '../../sql-queue/tables.ts';
import { SQLITE_DIALECT, SqliteBackend } from './backend.ts';
import { readBusyTimeout } from './busy-timeout.ts';
import { sqlite } from './capabilities.ts';
import { Connection } from './connection.ts';
import { checkFile } from './file.ts';
import { factsOf } from './facts.ts';
import { findBox } from './mailbox-tables.ts';

export type { OutboxOptions, OutboxSendOptions } from '../../sql-queue/outbox.ts';
export { openOutbox, SqliteOutbox, type TransactionDatabase } from './outbox.ts';

export const place: Place = {
  modes: [sqlite],
  parameters: ['mailbox', 'busyTimeoutMs'],
  check(url, options) {
    checkBox(url, options);
    readBusyTimeout(url);
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const name = checkBox(url, options);
    const path = checkFile(url, options.create !== 'never');
    options.signal.throwIfAborted();
    const connection = await Connection.open({
      path,
      text: url.text,
      busyTimeoutMs: readBusyTimeout(url),
      isDurable: options.survives !== 'process',
    });
    try {
      const { maxMessageBytes } = sqlite.limits;
      const found = await connection.run((db) => findBox(db, name, url, options, maxMessageBytes));
      options.signal.throwIfAborted();
      const { settings } = found;
      const facts = factsOf(url, path, found, options);
      return await EngineDriver.start({ facts, settings, hooks }, (listener) =>
        Tables.start({ facts, settings, dialect: SQLITE_DIALECT, listener }, (changes) =>
          Promise.resolve(new SqliteBackend(connection, settings.id, changes)),
        ),
      );
    } catch (error) {
      connection.close();
      throw error;
    }
  },
};
