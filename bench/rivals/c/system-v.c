// A System V message queue as the kernel gives it: messages of one type, msgsnd and msgrcv that wait.
#include "rival.h"

#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>

typedef struct {
  long type;
  uint8_t body[];
} message;

static int queues[2];
static message *buffer;

static int make_queue(void) {
  const int queue = msgget(IPC_PRIVATE, 0600);
  if (queue < 0) fail("msgget");
  return queue;
}

static void remove_queues(void) {
  for (int i = 0; i < 2; i++) msgctl(queues[i], IPC_RMID, NULL);
}

static void system_v_open(void) {
  for (int i = 0; i < 2; i++) queues[i] = make_queue();
  atexit(remove_queues);
  buffer = malloc(sizeof *buffer + body_bytes);
  if (buffer == NULL) fail("malloc");
  buffer->type = 1;
}

static void put(int queue, uint32_t sequence) {
  make_body(buffer->body, sequence);
  if (msgsnd(queue, buffer, body_bytes, 0) != 0) fail("msgsnd");
}

static void take(int queue) {
  if (msgrcv(queue, buffer, body_bytes, 0, 0) != (ssize_t)body_bytes) fail("msgrcv");
}

static void system_v_produce(uint64_t count) {
  for (uint64_t sequence = 0; sequence < count; sequence++) put(queues[0], (uint32_t)sequence);
}

static void system_v_consume(uint64_t count) {
  for (uint64_t done = 0; done < count; done++) {
    take(queues[0]);
    touch(buffer->body);
  }
}

static void system_v_ping(void) {
  put(queues[0], 1);
  take(queues[1]);
}

static void system_v_pong(void) {
  take(queues[0]);
  put(queues[1], 1);
}

const rival the_rival = {system_v_open, system_v_produce, system_v_consume, system_v_ping, system_v_pong, 1};
