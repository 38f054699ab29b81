// The load of the bench: sends one prepared request over and over, reads the answers, prints what it saw as one line of JSON.
//   load PORT FILE CONNECTIONS SECONDS RATE LIMIT STREAM MARK1 MARK2
// RATE 0 is a closed loop; otherwise requests are due at that rate and latency counts from when one was due, sent or not.
// LIMIT 0 is no limit. At MARK1 and MARK2 (seconds) it prints {"mark":events}, so that the caller can look at the gateway in between.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { IDLE, HEAD, LENGTH, SIZE, CHUNK, CHUNK_END, TRAILER, UNTIL_CLOSE };

struct conn {
  int fd;
  enum state state;
  long sent, need;
  long long started, first;
  int status, length, size_length;
  char text[8192], size[32];  // text: the head, then the body (of a stream: its current line)
  int events, done;
};

struct samples { long long *at; long count, room; };

static int poller, connections, streaming, port;
static char *request;
static long request_length, limit;
static double rate;
static struct conn *conns;
static struct samples latency, first_event, event_delay;
static long issued, finished, events_seen, status_errors, short_errors, cut_errors, reset_errors;
static long long begin, deadline, last_finish;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void add(struct samples *s, long long value) {
  if (s->count == s->room) s->at = realloc(s->at, (s->room = s->room ? s->room * 2 : 65536) * sizeof *s->at);
  s->at[s->count++] = value;
}

static int ascending(const void *a, const void *b) {
  long long x = *(long long *)a, y = *(long long *)b;
  return x < y ? -1 : x > y;
}

static void print_samples(const char *name, struct samples *s) {
  qsort(s->at, s->count, sizeof *s->at, ascending);
  if (!s->count) printf(",\"%s\":null", name);
  else printf(",\"%s\":{\"p50\":%.4f,\"p99\":%.4f,\"max\":%.4f}", name, s->at[s->count / 2] / 1e6, s->at[s->count * 99 / 100] / 1e6,
              s->at[s->count - 1] / 1e6);
}

static void open_socket(struct conn *c) {
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) perror("load: connect"), exit(1);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void reopen(struct conn *c) {
  close(c->fd);
  c->state = IDLE;
  open_socket(c);
}

static void send_rest(struct conn *c) {
  while (c->sent < request_length) {
    long n = send(c->fd, request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
    if (n < 0) return;        // when it is more than a full socket, the read says so
    c->sent += n;
  }
}

static long long due_of(long i) { return begin + (long long)(i * 1e9 / rate); }

static void start_next(struct conn *c) {
  if (limit && issued >= limit) return;
  long long time = now(), started = rate ? due_of(issued) : time;
  if (started > time || started >= deadline || time >= deadline) return;
  issued++;
  c->started = started;
  c->state = HEAD;
  c->length = c->events = c->done = 0;
  c->sent = 0;
  send_rest(c);
}

static void end_answer(struct conn *c) {
  last_finish = now();
  if (c->status != 200) status_errors++;
  else if (streaming && !c->done) cut_errors++;
  else if (streaming && !c->events) short_errors++;
  else if (!streaming && !memmem(c->text, c->length, "mock-end", 8)) short_errors++;
  add(&latency, last_finish - c->started);
  finished++;
  int broken = c->state == UNTIL_CLOSE || c->sent < request_length;
  c->state = IDLE;
  if (broken) reopen(c);
  start_next(c);
}

static void see_line(struct conn *c, int length) {
  c->text[length] = 0;
  if (memmem(c->text, length, "[DONE]", 6)) c->done = 1;
  char *mark = memmem(c->text, length, "\"t=", 3);
  if (!mark) return;
  long long time = now();
  add(&event_delay, time - atoll(mark + 3));
  if (!c->events++) add(&first_event, time - c->started);
  events_seen++;
}

static void see_body(struct conn *c, const char *data, long length) {
  if (!streaming) {
    long room = (long)sizeof c->text - c->length;
    if (length < room) room = length;
    memcpy(c->text + c->length, data, room);
    c->length += room;
    return;
  }
  while (length > 0) {
    const char *end = memchr(data, '\n', length);
    long n = end ? end - data : length;
    if (n > (long)sizeof c->text - 1 - c->length) n = sizeof c->text - 1 - c->length;
    memcpy(c->text + c->length, data, n);
    c->length += n;
    if (!end) return;
    see_line(c, c->length);
    c->length = 0;
    length -= end + 1 - data;
    data = end + 1;
  }
}

static void see_head(struct conn *c) {
  c->text[c->length] = 0;
  c->status = atoi(c->text + 9);
  char *length = strcasestr(c->text, "\ncontent-length:");
  c->need = length ? atol(length + 16) : 0;
  c->state = length ? LENGTH : strcasestr(c->text, "\ntransfer-encoding: chunked") ? SIZE : UNTIL_CLOSE;
  c->length = c->size_length = 0;
  if (c->state == LENGTH && !c->need) end_answer(c);
}

static void see_size_line(struct conn *c) {
  c->size[c->size_length] = 0;
  c->size_length = 0;
  if (c->state == CHUNK_END) c->state = SIZE;
  else if (c->state == SIZE) {
    c->need = strtol(c->size, 0, 16);
    c->state = c->need ? CHUNK : TRAILER;
  } else if (c->size[0] == '\r' || !c->size[0]) end_answer(c);
}

static void feed(struct conn *c, const char *data, long length) {
  int fd = c->fd;
  for (long i = 0; i < length && c->fd == fd && c->state != IDLE;) {
    if (c->state == UNTIL_CLOSE) return see_body(c, data + i, length - i);
    if (c->state == LENGTH || c->state == CHUNK) {
      long n = length - i < c->need ? length - i : c->need;
      see_body(c, data + i, n);
      i += n;
      c->need -= n;
      if (c->need) return;
      if (c->state == LENGTH) end_answer(c);
      else c->state = CHUNK_END;
      continue;
    }
    char byte = data[i++];
    if (c->state == HEAD) {
      if (c->length >= (int)sizeof c->text - 1) exit(4);
      c->text[c->length++] = byte;
      if (byte == '\n' && c->length >= 4 && !memcmp(c->text + c->length - 4, "\r\n\r\n", 4)) see_head(c);
    } else if (byte == '\n') see_size_line(c);
    else if (c->size_length < 30) c->size[c->size_length++] = byte;
  }
}

static void see_close(struct conn *c) {
  if (c->state == UNTIL_CLOSE) return end_answer(c);
  int idle = c->state == IDLE;
  if (!idle) {
    reset_errors++;
    finished++;
    if (reset_errors > 1000) exit(5);
  }
  reopen(c);
  if (!idle) start_next(c);
}

static void receive(struct conn *c) {
  static char buffer[65536];
  long n;
  do {
    int fd = c->fd;
    n = recv(fd, buffer, sizeof buffer, 0);
    if (n > 0) feed(c, buffer, n);
    else if (n == 0 || errno != EAGAIN) return see_close(c);
    if (c->fd != fd) return;
  } while (n == sizeof buffer);  // edge-triggered: a short read has emptied the socket
}

static void start_idle(void) {
  for (int i = 0; i < connections; i++) {
    if (rate && due_of(issued) > now()) return;
    if (conns[i].state == IDLE) start_next(&conns[i]);
  }
}

static void wait_events(long long until) {
  struct epoll_event events[256];
  long long wait = until - now();
  struct timespec t = { wait > 0 ? wait / 1000000000 : 0, wait > 0 ? wait % 1000000000 : 0 };
  struct pollfd p = { .fd = poller, .events = POLLIN };
  ppoll(&p, 1, &t, 0);
  int n = epoll_wait(poller, events, 256, 0);
  for (int i = 0; i < n; i++) {
    struct conn *c = events[i].data.ptr;
    if (events[i].events & EPOLLOUT && c->state != IDLE) send_rest(c);
    if (events[i].events & ~EPOLLOUT) receive(c);
  }
}

static void run(double mark1, double mark2) {
  long long marks[] = { mark1 ? begin + mark1 * 1e9 : 0, mark2 ? begin + mark2 * 1e9 : 0 };
  long long give_up = deadline + 15000000000LL;
  start_idle();
  for (;;) {
    long long time = now();
    int over = time >= deadline || (limit && issued >= limit);
    if ((over && finished >= issued && (!mark2 || !marks[1])) || time > give_up) return;
    for (int i = 0; i < 2; i++) {
      if (!marks[i] || time < marks[i]) continue;
      printf("{\"mark\":%ld,\"at\":%.6f}\n", events_seen, (time - begin) / 1e9);
      fflush(stdout);
      marks[i] = 0;
    }
    long long until = over ? give_up : deadline;
    for (int i = 0; i < 2; i++) if (marks[i] && marks[i] < until) until = marks[i];
    if (rate && !over) {
      start_idle();
      if (due_of(issued) > time && due_of(issued) < until) until = due_of(issued);
    }
    wait_events(until);
  }
}

int main(int count, char **argument) {
  if (count < 10) return fprintf(stderr, "load PORT FILE CONNECTIONS SECONDS RATE LIMIT STREAM MARK1 MARK2\n"), 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  port = atoi(argument[1]);
  FILE *file = fopen(argument[2], "rb");
  if (!file) return perror("load"), 1;
  fseek(file, 0, SEEK_END);
  request_length = ftell(file);
  rewind(file);
  request = malloc(request_length);
  if (fread(request, 1, request_length, file) != (size_t)request_length) return 1;
  connections = atoi(argument[3]);
  double seconds = atof(argument[4]);
  rate = atof(argument[5]);
  limit = atol(argument[6]);
  streaming = atoi(argument[7]);
  poller = epoll_create1(EPOLL_CLOEXEC);
  conns = calloc(connections, sizeof *conns);
  for (int i = 0; i < connections; i++) open_socket(&conns[i]);
  begin = last_finish = now();
  deadline = begin + (long long)(seconds * 1e9);
  run(atof(argument[8]), atof(argument[9]));
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  printf("{\"requests\":%ld,\"events\":%ld,\"seconds\":%.6f,\"cpu\":%.6f", finished, events_seen, (last_finish - begin) / 1e9, cpu);
  long unsent = rate ? (limit ? limit : (long)(seconds * rate)) - issued : 0;
  printf(",\"errors\":{\"status\":%ld,\"short\":%ld,\"cut\":%ld,\"reset\":%ld,\"unanswered\":%ld,\"unsent\":%ld}", status_errors, short_errors,
         cut_errors, reset_errors, issued - finished, unsent > 0 ? unsent : 0);
  print_samples("latency", &latency);
  print_samples("first", &first_event);
  print_samples("delay", &event_delay);
  printf("}\n");
}
