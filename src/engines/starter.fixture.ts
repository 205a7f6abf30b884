// One of many processes that open a mailbox at the same moment: it says that it is there, waits for the word, opens, sends one message and says
// whether it made the mailbox. Started by starters.fixture.ts.

import { open } from '../index.ts';

process.on('message', (url) => {
  void (async () => {
    const mailbox = await open(String(url), { timeoutMs: 60_000 });
    await mailbox.send(process.pid);
    const { created } = mailbox;
    await mailbox.close();
    process.send?.({ created });
    process.disconnect();
  })();
});
process.send?.('there');
