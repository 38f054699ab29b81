// The upstream of the bench: a fixed chat answer, or an SSE stream when the body names the model `mock-stream-COUNT-MS`.
// One thread, epoll, keep-alive. Prints its port, ends with its parent.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, ANSWERING };

struct conn {
  int fd;
  enum state state;
  char head[16384], body[2048], line[32], out[4096];
  int head_length, body_length, line_length, out_length, out_sent;
  long need;                  // bytes of the body, or of its chunk, still to come
  int left;                   // events still to send, then one more for the end
  long long pace, due;        // ns; due is 0 unless the stream waits for its time
  int slot;                   // its place in `paced`
};

static int poller;
static struct conn *paced[8192];
static int paced_count;
static char answer[4096];
static int answer_length;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void prepare_answer(void) {
  static char body[2048];
  int n = sprintf(body, "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"mock-chat\",\"choices\":"
                        "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
  while (n < 1000) n += sprintf(body + n, "The quick brown fox jumps over the lazy dog. ");
  n += sprintf(body + n, "mock-end\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":250,\"completion_tokens\":190,"
                         "\"total_tokens\":440},\"system_fingerprint\":\"fp_mock\"}");
  answer_length = sprintf(answer, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", n, body);
}

static void watch(struct conn *c, unsigned events) {
  struct epoll_event e = { .events = events, .data.ptr = c };
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

static void enrol(struct conn *c) {
  if (paced_count == 8192) exit(3);
  c->slot = paced_count;
  paced[paced_count++] = c;
  c->due = now();
}

static void unpace(struct conn *c) {
  if (!c->due) return;
  paced[c->slot] = paced[--paced_count];
  paced[c->slot]->slot = c->slot;
  c->due = 0;
}

static void drop(struct conn *c) {
  unpace(c);
  close(c->fd);
  c->fd = -1;                 // freed by the loop, which may still hold it
}

// Sends, or keeps the rest for when the socket drains. False when it had to wait.
static int put(struct conn *c, const char *data, int length) {
  int sent = send(c->fd, data, length, MSG_NOSIGNAL);
  if (sent == length) return 1;
  if (sent < 0 && errno != EAGAIN) return drop(c), 0;
  if (sent < 0) sent = 0;
  memcpy(c->out, data + sent, length - sent);
  c->out_length = length - sent;
  c->out_sent = 0;
  watch(c, EPOLLIN | EPOLLOUT);
  return 0;
}

static int put_event(struct conn *c, const char *delta, const char *finish, const char *rest, const char *last) {
  char event[1024], frame[1200];
  int n = sprintf(event, "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock-stream\","
                         "\"choices\":[{\"index\":0,\"delta\":{%s},\"finish_reason\":%s}]%s}\n\n%s", delta, finish, rest, last);
  int m = sprintf(frame, "%x\r\n%s\r\n%s", n, event, *last ? "0\r\n\r\n" : "");
  return put(c, frame, m);
}

static void stream(struct conn *c) {
  while (c->left > 0) {
    if (c->left == 1) {
      c->left = 0;
      c->state = HEAD;
      put_event(c, "", "\"stop\"", ",\"usage\":{\"prompt_tokens\":250,\"completion_tokens\":190,\"total_tokens\":440}", "data: [DONE]\n\n");
      return;
    }
    char delta[128];
    sprintf(delta, "\"content\":\"t=%lld and a few words \"", now());
    c->left--;
    int flowing = put_event(c, delta, "null", "", "");
    if (c->fd < 0) return;
    if (c->pace && c->left > 1) {
      if (!c->due) enrol(c);
      c->due += c->pace;
      return;
    }
    if (!flowing) return;
  }
}

static void pace(struct conn *c) {
  long long due = c->due;
  stream(c);
  if (c->due == due) unpace(c);
}

static void respond(struct conn *c) {
  int count = 0, ms = 0;
  c->body[c->body_length] = 0;
  char *name = memmem(c->body, c->body_length, "mock-stream-", 12);
  if (!name || sscanf(name + 12, "%d-%d", &count, &ms) != 2) {
    c->state = HEAD;
    put(c, answer, answer_length);
    return;
  }
  static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
  c->state = ANSWERING;
  c->left = count + 1;
  c->pace = ms * 1000000LL;
  if (!put(c, head, sizeof head - 1)) return;
  stream(c);
}

static void read_head(struct conn *c) {
  c->head[c->head_length] = 0;
  char *length = strcasestr(c->head, "\ncontent-length:");
  char *chunked = strcasestr(c->head, "\ntransfer-encoding:");
  c->head_length = c->body_length = c->line_length = 0;
  c->need = length ? atol(length + 16) : 0;
  c->state = chunked ? CHUNK_SIZE : BODY;
  if (c->state == BODY && c->need == 0) respond(c);
}

static int take_line(struct conn *c, char byte) {
  if (byte == '\n') return c->line[c->line_length] = 0, c->line_length = 0, 1;
  if (c->line_length < 30) c->line[c->line_length++] = byte;
  return 0;
}

static int take_body(struct conn *c, const char *data, int length) {
  int n = length < c->need ? length : c->need;
  int room = sizeof c->body - 1 - c->body_length;
  if (room > n) room = n;
  memcpy(c->body + c->body_length, data, room);
  c->body_length += room;
  c->need -= n;
  return n;
}

static void feed(struct conn *c, const char *data, int length) {
  for (int i = 0; i < length && c->fd >= 0;) {
    if (c->state == BODY || c->state == CHUNK_DATA) {
      i += take_body(c, data + i, length - i);
      if (c->need > 0) return;
      if (c->state == BODY) respond(c);
      else c->state = CHUNK_END;
      continue;
    }
    char byte = data[i++];
    if (c->state == HEAD) {
      if (c->head_length >= (int)sizeof c->head - 1) return drop(c);
      c->head[c->head_length++] = byte;
      if (byte == '\n' && c->head_length >= 4 && !memcmp(c->head + c->head_length - 4, "\r\n\r\n", 4)) read_head(c);
    } else if (c->state == ANSWERING) {
      return drop(c);         // pipelining, which no gateway here does
    } else if (take_line(c, byte)) {
      if (c->state == CHUNK_END) c->state = CHUNK_SIZE;
      else if (c->state == CHUNK_SIZE) {
        c->need = strtol(c->line, 0, 16);
        c->state = c->need ? CHUNK_DATA : TRAILER;
      } else if (c->line[0] == '\r' || !c->line[0]) respond(c);
    }
  }
}

static void drain(struct conn *c) {
  int sent = send(c->fd, c->out + c->out_sent, c->out_length - c->out_sent, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN) drop(c);
    return;
  }
  c->out_sent += sent;
  if (c->out_sent < c->out_length) return;
  c->out_length = 0;
  watch(c, EPOLLIN);
  if (c->state == ANSWERING && !c->due) stream(c);
}

static void accept_all(int listener) {
  int fd, one = 1;
  while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct conn *c = calloc(1, sizeof *c);
    c->fd = fd;
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
  }
}

static void wait_until_due(void) {
  long long first = paced[0]->due;
  for (int i = 1; i < paced_count; i++) if (paced[i]->due < first) first = paced[i]->due;
  long long wait = first - now();
  if (wait < 0) wait = 0;
  struct pollfd p = { .fd = poller, .events = POLLIN };
  struct timespec t = { wait / 1000000000, wait % 1000000000 };
  ppoll(&p, 1, &t, 0);
  long long time = now();
  for (int i = paced_count - 1; i >= 0; i--) if (paced[i]->due <= time && !paced[i]->out_length) pace(paced[i]);
}

int main(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prepare_answer();
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)) return perror("mock"), 1;
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  poller = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = { .events = EPOLLIN, .data.ptr = 0 }, events[256];
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
  static char buffer[262144];
  for (;;) {
    if (paced_count) wait_until_due();
    int n = epoll_wait(poller, events, 256, paced_count ? 0 : -1);
    for (int i = 0; i < n; i++) {
      struct conn *c = events[i].data.ptr;
      if (!c) { accept_all(listener); continue; }
      if (c->fd >= 0 && events[i].events & EPOLLOUT) drain(c);
      if (c->fd >= 0 && events[i].events & ~EPOLLOUT) {
        int length = recv(c->fd, buffer, sizeof buffer, 0);
        if (length > 0) feed(c, buffer, length);
        else if (length == 0 || errno != EAGAIN) drop(c);
      }
    }
    for (int i = 0; i < n; i++) {
      struct conn *c = events[i].data.ptr;
      if (c && c->fd < 0) free(c);
    }
  }
}
