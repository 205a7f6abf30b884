// A peer of the tests that knows shm:// from interop/naru_ring.h alone: one program, a role a word. What it says is a line on
// standard output, written before the next step.
#include "naru_ring.h"

enum { BATCH = 64, IDS = 16, FOR_EVER = -1 };

static naru mailbox;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  putchar('\n');
  fflush(stdout);
}
static void check(naru *m, int code) {
  if (code >= 0) return;
  say("failed %s %s", naru_error_name(code), m->problem);
  exit(3);
}
static void open_as(naru *m, const char *name, unsigned role) {
  check(m, naru_open(m, name, role));
  say("open %s", m->identity);
}
static uint32_t number(const char *text) { return (uint32_t)strtoul(text, NULL, 10); }

// Message `sequence` of producer `id`: 8 bytes that say so, and up to `more` - 1 others that follow from them.
static size_t numbered(uint8_t *body, uint32_t id, uint32_t sequence, uint32_t more) {
  const size_t size = 8 + sequence * 7919u % more;
  memcpy(body, &id, 4);
  memcpy(body + 4, &sequence, 4);
  for (size_t i = 8; i < size; i++) body[i] = (uint8_t)(sequence + i);
  return size;
}
static void read_numbered(const naru_message *message, uint32_t more, uint32_t *id, uint32_t *sequence) {
  static uint8_t expected[1 << 20];
  memcpy(id, message->body, 4);
  memcpy(sequence, (const uint8_t *)message->body + 4, 4);
  const size_t size = numbered(expected, *id, *sequence, more);
  if (message->size == size && memcmp(message->body, expected, size) == 0) return;
  say("damaged: %u %u, %zu bytes", *id, *sequence, message->size);
  exit(4);
}

// produce NAME ID COUNT MORE BURST
static void produce(char **words) {
  static uint8_t body[1 << 20];
  const uint32_t id = number(words[1]), count = number(words[2]), more = number(words[3]), burst = number(words[4]);
  open_as(&mailbox, words[0], NARU_PRODUCER);
  for (uint32_t sequence = 0; sequence < count;) {
    if (burst == 1) {
      check(&mailbox, naru_send(&mailbox, body, numbered(body, id, sequence, more), FOR_EVER));
      sequence += 1;
      continue;
    }
    int code = NARU_OK;
    for (uint32_t i = 0; i < burst && sequence < count; i++, sequence++)
      if ((code = naru_put(&mailbox, body, numbered(body, id, sequence, more))) != NARU_OK) break;
    naru_publish(&mailbox);
    if (code == NARU_E_FULL) code = naru_wait_room(&mailbox, FOR_EVER);
    check(&mailbox, code);
  }
  say("sent %u", count);
  naru_close(&mailbox);
}

// half NAME: five messages published, three more not, and then it waits for its death.
static void half(char **words) {
  uint8_t body[64];
  open_as(&mailbox, words[0], NARU_PRODUCER);
  for (uint32_t sequence = 0; sequence < 8; sequence++) {
    check(&mailbox, naru_put(&mailbox, body, numbered(body, 1, sequence, 8)));
    if (sequence == 4) naru_publish(&mailbox);
  }
  say("half");
  pause();
}

// consume NAME MORE: until the mailbox has ended. Every 50th message is given back once where `nacks` is set.
static void consume_all(char **words, bool nacks, bool one_by_one) {
  static naru_message messages[BATCH];
  uint32_t next[IDS] = {0}, total = 0, again = 0;
  uint64_t sums[IDS] = {0};
  const uint32_t more = number(words[1]);
  open_as(&mailbox, words[0], NARU_CONSUMER);
  for (;;) {
    int count = one_by_one ? naru_receive(&mailbox, messages, FOR_EVER) : naru_receive_batch(&mailbox, messages, BATCH, FOR_EVER);
    if (one_by_one && count == NARU_OK) count = 1;
    if (count == NARU_E_ENDED) break;
    check(&mailbox, count);
    int kept = 0;
    for (int i = 0; i < count; i++) {
      uint32_t id, sequence;
      read_numbered(&messages[i], more, &id, &sequence);
      if (id >= IDS || strlen(naru_sender(&mailbox, &messages[i])) < 7) exit(5);
      if (nacks && sequence % 50 == 0 && messages[i].deliveries == 1) {
        check(&mailbox, naru_nack(&mailbox, &messages[i]));
        continue;
      }
      if (messages[i].deliveries > 1) again += 1;
      else if (sequence < next[id]) {
        say("out of order: %u %u after %u", id, sequence, next[id]);
        exit(6);
      } else next[id] = sequence + 1;
      sums[id] += sequence;
      total += 1;
      messages[kept++] = messages[i];
    }
    if (!one_by_one) check(&mailbox, naru_ack_many(&mailbox, messages, kept));
    else {
      check(&mailbox, naru_ack(&mailbox, messages));
      if (naru_ack(&mailbox, messages) != NARU_E_SETTLED) exit(7);
    }
  }
  for (uint32_t id = 0; id < IDS; id++)
    if (sums[id] > 0) say("sum %u %llu", id, (unsigned long long)sums[id]);
  say("got %u %u", total, again);
  naru_close(&mailbox);
}

// scatter NAME MORE: as consume, but settles each batch from its end to its beginning, one by one.
static void scatter(char **words) {
  static naru_message messages[BATCH];
  uint32_t total = 0, expected = 0;
  open_as(&mailbox, words[0], NARU_CONSUMER);
  for (int count; (count = naru_receive_batch(&mailbox, messages, BATCH, FOR_EVER)) != NARU_E_ENDED; total += (uint32_t)count) {
    check(&mailbox, count);
    for (int i = 0; i < count; i++) {
      uint32_t id, sequence;
      read_numbered(&messages[i], number(words[1]), &id, &sequence);
      if (sequence != expected++) exit(6);
    }
    for (int i = count; i-- > 0;) check(&mailbox, naru_ack(&mailbox, &messages[i]));
    if (naru_ack(&mailbox, &messages[0]) != NARU_E_SETTLED) exit(7);
  }
  say("got %u", total);
  naru_close(&mailbox);
}

// list NAME COUNT: takes and settles that many, and says each; `holds`: keeps them, and waits for its death.
static void list(char **words, bool holds) {
  naru_message message;
  open_as(&mailbox, words[0], NARU_CONSUMER);
  for (uint32_t i = 0; i < number(words[1]); i++) {
    check(&mailbox, naru_receive(&mailbox, &message, 20000));
    uint32_t id = 0, sequence = 0;
    memcpy(&id, message.body, 4);
    memcpy(&sequence, (const uint8_t *)message.body + 4, 4);
    if (!holds) check(&mailbox, naru_ack(&mailbox, &message));
    say("%s %u %u %u", holds ? "held" : "got", id, sequence, message.deliveries);
  }
  say("listed %llu", (unsigned long long)mailbox.safety_wakeups);
  if (holds) pause();
  naru_close(&mailbox);
}

// echo FROM TO: sends back the bytes that it gets, until FROM has ended.
static void echo(char **words) {
  static naru back;
  naru_message message;
  open_as(&mailbox, words[0], NARU_CONSUMER);
  open_as(&back, words[1], NARU_PRODUCER);
  int code;
  while ((code = naru_receive(&mailbox, &message, FOR_EVER)) == NARU_OK) {
    check(&back, naru_send(&back, message.body, message.size, FOR_EVER));
    check(&mailbox, naru_ack(&mailbox, &message));
  }
  say("ended %s", naru_error_name(code));
  check(&back, naru_end(&back));
  naru_close(&back);
  naru_close(&mailbox);
}

// receipts NAME: says what its headers say, after the receipt was given and before it is settled.
static void headers(char **words) {
  naru_message message;
  open_as(&mailbox, words[0], NARU_CONSUMER);
  check(&mailbox, naru_receive(&mailbox, &message, 20000));
  const uint8_t *type = NULL;
  uint32_t size = 0;
  naru_field(&message, 6, &type, &size);
  say("got %.*s type %.*s sequence %u from %s", (int)message.size, (const char *)message.body, (int)size,
      type == NULL ? "" : (const char *)type, naru_sequence(&message), naru_sender(&mailbox, &message));
  say("dropped %llu", (unsigned long long)mailbox.dropped);
  pause();
}

// try NAME: opens in each role, and says how that ended.
static void try_open(char **words) {
  for (unsigned role = NARU_PRODUCER; role <= NARU_CONSUMER; role++) {
    const int code = naru_open(&mailbox, words[0], role);
    say("%s %s", naru_error_name(code), mailbox.problem);
    naru_close(&mailbox);
  }
}

// make NAME RELATION: makes the mailbox, sends ten messages, and waits for its death.
static void make(char **words) {
  const naru_shape shape = {number(words[1]), NARU_OWNER_USERS, 65536};
  uint8_t body[64];
  check(&mailbox, naru_create(&mailbox, words[0], NARU_PRODUCER, &shape));
  for (uint32_t sequence = 0; sequence < 10; sequence++)
    check(&mailbox, naru_send(&mailbox, body, numbered(body, 1, sequence, 8), 1000));
  say("made");
  pause();
}

static void write_file(const char *folder, const char *name, const uint8_t *bytes, size_t size) {
  char path[600];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  unlink(path);
  const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, bytes, size) != (ssize_t)size) exit(8);
  close(fd);
}
static uint64_t seed;
static uint32_t chance(uint32_t below) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % below;
}
static uint32_t bad_value(uint32_t before) {
  const uint32_t values[] = {0, 1, before + 1, before - 1, before ^ 1u << chance(32), before * 2, 0x7fffffff, 0x80000000u,
                             UINT32_MAX, 8, 64, 4096, chance(1 << 20), 0x55aa55aa};
  return values[chance(sizeof values / sizeof *values)];
}
static void use(const char *name, unsigned role) {
  static naru_message messages[BATCH];
  if (naru_open(&mailbox, name, role) == NARU_OK) {
    static uint8_t body[600];
    for (int i = 0; i < 20; i++) {
      naru_try_send(&mailbox, body, chance(600));
      const bool is_one = chance(2) == 0;
      const int count = is_one ? naru_try_receive(&mailbox, messages) == NARU_OK : naru_receive_many(&mailbox, messages, BATCH);
      for (int k = 0; k < count; k++) {
        // Every byte that it claims to have must be there.
        if (messages[k].size > 0 && memchr(messages[k].body, 0x5a, messages[k].size) == messages[k].body) seed += 1;
        const uint8_t *value;
        uint32_t size;
        naru_field(&messages[k], 6, &value, &size);
        naru_sender(&mailbox, &messages[k]);
        if (chance(3) == 0) naru_nack(&mailbox, &messages[k]);
        else if (chance(4) != 0) naru_ack(&mailbox, &messages[k]);
      }
    }
    naru_receive(&mailbox, messages, 0);
  }
  naru_close(&mailbox);
}
// hostile FOLDER NAME SEED ROUNDS: a mailbox of its own, damaged in every word that is read, and opened.
static void hostile(char **words) {
  const char *folder = words[0], *name = words[1];
  static uint8_t whole[1 << 20], bad[1 << 20];
  char path[600];
  seed = number(words[2]);
  uint32_t opened = 0;
  for (uint32_t relation = NARU_1_TO_1; relation <= NARU_N_TO_N; relation++) {
    const naru_shape shape = {relation, NARU_OWNER_SYSTEM, 4096};
    check(&mailbox, naru_create(&mailbox, name, NARU_PRODUCER | NARU_CONSUMER, &shape));
    for (int i = 0; i < 12; i++) check(&mailbox, naru_try_send(&mailbox, whole, 8 + (size_t)i * 9));
    naru_message messages[4];
    naru_receive_many(&mailbox, messages, 4);
    naru_ack(&mailbox, &messages[1]);
    snprintf(path, sizeof path, "%s/ring", folder);
    const int fd = open(path, O_RDONLY);
    const ssize_t size = read(fd, whole, sizeof whole);
    close(fd);
    naru_close(&mailbox);
    if (size <= 0) exit(9);
    const uint32_t tables = NARU__PAGE + (uint32_t)NARU__SLOTS * NARU__SLOT_STRIDE;
    for (uint32_t round = 0; round < number(words[3]); round++) {
      memcpy(bad, whole, (size_t)size);
      // Header; header and participants; lane table; anything.
      for (uint32_t i = chance(4) + 1; i > 0; i--) {
        const uint32_t kind = chance(6);
        const uint32_t at = kind == 0   ? chance(128)
                            : kind == 1 ? chance(768)
                            : kind == 2 ? NARU__PAGE + chance(1024)
                            : kind == 3 ? tables + chance(512)
                            : kind == 4 ? (uint32_t)size - 4096 * (relation == 1 || relation == 3 ? 1 : 16) + chance(600)
                                        : chance((uint32_t)size - 4);
        uint32_t value;
        memcpy(&value, bad + (at & ~3u), 4);
        value = bad_value(value);
        memcpy(bad + (at & ~3u), &value, 4);
      }
      mkdir(folder, 0700);
      write_file(folder, "lock", whole, 0);
      const uint32_t cut = chance(20) == 0 ? chance((uint32_t)size) : (uint32_t)size;
      write_file(folder, "ring", bad, cut);
      use(name, 1 + chance(3));
      opened += mailbox.identity[0] != 0;
    }
    mkdir(folder, 0700);
    write_file(folder, "lock", whole, 0);
    write_file(folder, "ring", whole, 0);
    naru_open(&mailbox, name, NARU_PRODUCER);
  }
  say("survived, %s", opened > 0 ? "some were opened" : "none was opened");
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const char *role = argv[1];
  char **words = argv + 2;
  if (strcmp(role, "produce") == 0 && argc == 7) produce(words);
  else if (strcmp(role, "half") == 0) half(words);
  else if (strcmp(role, "consume") == 0 && argc == 4) consume_all(words, false, false);
  else if (strcmp(role, "singly") == 0 && argc == 4) consume_all(words, false, true);
  else if (strcmp(role, "nack") == 0 && argc == 4) consume_all(words, true, false);
  else if (strcmp(role, "scatter") == 0 && argc == 4) scatter(words);
  else if (strcmp(role, "list") == 0 && argc == 4) list(words, false);
  else if (strcmp(role, "hold") == 0 && argc == 4) list(words, true);
  else if (strcmp(role, "echo") == 0 && argc == 4) echo(words);
  else if (strcmp(role, "headers") == 0) headers(words);
  else if (strcmp(role, "try") == 0) try_open(words);
  else if (strcmp(role, "make") == 0 && argc == 4) make(words);
  else if (strcmp(role, "hostile") == 0 && argc == 6) hostile(words);
  else return 2;
  return 0;
}
