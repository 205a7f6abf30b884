// A POSIX message queue of the length that the kernel gives anybody (msg_max, 10 by default): mq_send and mq_receive that wait.
#include "rival.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static mqd_t queues[2];
static uint8_t *buffer;

static long messages_max(void) {
  long most = 10;
  FILE *file = fopen("/proc/sys/fs/mqueue/msg_max", "r");
  if (file == NULL) return most;
  if (fscanf(file, "%ld", &most) != 1) most = 10;
  fclose(file);
  return most;
}

static mqd_t make_queue(int number) {
  char name[64];
  snprintf(name, sizeof name, "/naru-bench-%d-%d", (int)getpid(), number);
  struct mq_attr attributes = {.mq_maxmsg = messages_max(), .mq_msgsize = (long)body_bytes};
  const mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  if (queue == (mqd_t)-1) fail("mq_open");
  // Both processes have it open: the name is not needed any more, and nothing is left behind.
  mq_unlink(name);
  return queue;
}

static void posix_open(void) {
  for (int i = 0; i < 2; i++) queues[i] = make_queue(i);
  buffer = malloc(body_bytes);
  if (buffer == NULL) fail("malloc");
}

static void put(mqd_t queue, uint32_t sequence) {
  make_body(buffer, sequence);
  if (mq_send(queue, (const char *)buffer, body_bytes, 0) != 0) fail("mq_send");
}

static void take(mqd_t queue) {
  if (mq_receive(queue, (char *)buffer, body_bytes, NULL) != (ssize_t)body_bytes) fail("mq_receive");
}

static void posix_produce(uint64_t count) {
  for (uint64_t sequence = 0; sequence < count; sequence++) put(queues[0], (uint32_t)sequence);
}

static void posix_consume(uint64_t count) {
  for (uint64_t done = 0; done < count; done++) {
    take(queues[0]);
    touch(buffer);
  }
}

static void posix_ping(void) {
  put(queues[0], 1);
  take(queues[1]);
}

static void posix_pong(void) {
  take(queues[0]);
  put(queues[1], 1);
}

const rival the_rival = {posix_open, posix_produce, posix_consume, posix_ping, posix_pong, 1};
