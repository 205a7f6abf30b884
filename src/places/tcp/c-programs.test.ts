// The textbook's ten-line client and server in C, compiled here, at the other end of tcp://…?format=raw.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hasCompiler, KernelStage } from '../../kernel/stage.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import { open } from '../../open.ts';

const CLIENT = String.raw`
int fd = socket(AF_INET, SOCK_STREAM, 0);
struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) fail("connect");
FILE *in = fdopen(fd, "r");
char line[100];
if (write(fd, "from c\n", 7) != 7) fail("write");
if (fgets(line, sizeof line, in) == NULL) fail("fgets");
printf("%s", line);
`;

/** Says its port; greets one connection after the other, as many as it is told, and echoes a line. */
const SERVER = String.raw`
int listener = socket(AF_INET, SOCK_STREAM, 0);
struct sockaddr_in at = {.sin_family = AF_INET};
socklen_t size = sizeof at;
at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
if (bind(listener, (struct sockaddr *)&at, size) != 0 || listen(listener, 5) != 0) fail("bind");
if (getsockname(listener, (struct sockaddr *)&at, &size) != 0) fail("getsockname");
printf("%d\n", ntohs(at.sin_port)), fflush(stdout);
for (int served = 0; served < atoi(argv[1]); served++) {
  int fd = accept(listener, NULL, NULL);
  dprintf(fd, "welcome %d\n", served);
  char line[100];
  ssize_t length = read(fd, line, sizeof line);
  if (length <= 0) fail("read");
  dprintf(fd, "%.*s", (int)length, line);
  close(fd);
}
`;

describe.skipIf(!hasCompiler())('a program in C', () => {
  let stage: KernelStage;
  let mailbox: Mailbox<string> | undefined;

  beforeEach(() => {
    stage = new KernelStage();
  });
  afterEach(async () => {
    await mailbox?.close({ flushMs: 0 });
    stage.close();
  });

  async function next(): Promise<string | undefined> {
    return (await mailbox?.receive({ timeoutMs: 20_000 }))?.data;
  }

  test('connects to a listening mailbox, sends a line and reads the answer', {
    timeout: 60_000,
  }, async () => {
    mailbox = await open('tcp://127.0.0.1:0?listen&format=raw&frame=lines', { codec: 'text' });
    const port = /:(\d+)\?/.exec(mailbox.address)?.[1] ?? '';
    const client = stage.c('client', CLIENT, port);
    expect(await next()).toBe('from c');
    await mailbox.send('from naru');
    expect(await client.line()).toBe('from naru');
    expect(await client.end()).toMatchObject({ code: 0 });
  });

  test('serves connections of a mailbox, which comes again when one is closed', {
    timeout: 60_000,
  }, async () => {
    const server = stage.c('server', SERVER, 2);
    mailbox = await open(`tcp://127.0.0.1:${await server.line()}?format=raw&frame=lines`, { codec: 'text' });
    for (const number of [0, 1]) {
      expect(await next()).toBe(`welcome ${number}`);
      await mailbox.send(`hello ${number}`);
      expect(await next()).toBe(`hello ${number}`);
    }
    expect(await server.end()).toMatchObject({ code: 0 });
  });
});
