/* What the C ABI costs, in nanoseconds of this process's CPU time. By hand, on a quiet machine:
 *
 *     make bench && ./bench
 *
 * One connection sends bursts of small messages to a server that only counts them: in managed mode by a callback, in
 * hosted mode by batches of 1, 16 and 256. The time is that of the shard's thread. Most of it is reading and decoding,
 * which a row of its own shows, in which nobody is told: what the others have more is what an event costs. Then a
 * second thread pushes messages into a mailbox, one by one and 256 at a time; that time is the pushing thread's. */

#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <wspoll.h>

enum { BURST = 4096, BURSTS = 500, SENDS = 1000000, MANY = 256, PAYLOAD = 32 };

static _Atomic wsp_conn_id client_id;

static double cpu_seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void die(const char *doing) {
    fprintf(stderr, "%s: %s\n", doing, wsp_last_error_message());
    exit(1);
}

/* Connects and upgrades. */
static int connect_to(uint16_t port, const char *path) {
    struct sockaddr_in address = {0};
    char request[512], answer[1024];
    size_t have = 0;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
             path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        send(fd, request, strlen(request), 0) < 0)
        die("connecting");
    while (have < 4 || memcmp(answer + have - 4, "\r\n\r\n", 4) != 0) {
        if (recv(fd, answer + have, 1, 0) != 1 || ++have == sizeof answer)
            die("the handshake");
    }
    return fd;
}

/* A burst of masked binary messages of PAYLOAD bytes; the mask is 0. */
static size_t fill(unsigned char *burst) {
    size_t at = 0;
    int i;
    for (i = 0; i < BURST; i++) {
        burst[at] = 0x82;
        burst[at + 1] = 0x80 | PAYLOAD;
        memset(burst + at + 2, 0, 4);
        memset(burst + at + 6, 'x', PAYLOAD);
        at += 6 + PAYLOAD;
    }
    return at;
}

static void send_all(int fd, const unsigned char *data, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            die("sending");
        data += sent;
        len -= (size_t)sent;
    }
}

/* The client's end of a server. */
struct link {
    wsp_server *server;
    int fd;
};

static void *connect_beside(void *argument) {
    struct link *link = argument;
    link->fd = connect_to(wsp_server_port(link->server), "/");
    return NULL;
}

/* Sends everything, and waits after each burst until the server has it. */
static void *client(void *argument) {
    static unsigned char burst[BURST * (6 + PAYLOAD)];
    const struct link *link = argument;
    const size_t len = fill(burst);
    uint64_t wanted = 0;
    int i;
    for (i = 0; i < BURSTS; i++) {
        wsp_stats stats = {0};
        stats.size = sizeof stats;
        send_all(link->fd, burst, len);
        wanted += BURST;
        while (wsp_server_stats(link->server, &stats) == WSP_STATUS_OK && stats.messages_in < wanted)
            nanosleep(&(struct timespec){0, 20000}, NULL);
    }
    return NULL;
}

static double thread_seconds(void) { return cpu_seconds(CLOCK_THREAD_CPUTIME_ID); }

static void row(const char *what, double seconds, double events) {
    printf("%-34s %8.1f ns\n", what, seconds / events * 1e9);
    fflush(stdout);
}

/* ---- managed mode ---- */

static unsigned long long bytes_seen;

static void on_message(wsp_server *server, const wsp_event *event, void *user) {
    (void)server;
    (void)user;
    bytes_seen += event->len;
}

static void on_open(wsp_server *server, const wsp_event *event, void *user) {
    (void)server;
    (void)user;
    atomic_store(&client_id, event->conn);
}

static double shard_seconds; /* of the shard's thread */

static void on_thread_stop(wsp_server *server, uint32_t shard, void *user) {
    (void)server;
    (void)shard;
    (void)user;
    shard_seconds = thread_seconds();
}

static wsp_server *start(wsp_callbacks *callbacks) {
    wsp_config *config = wsp_config_new();
    wsp_server *server;
    wsp_config_add_listen(config, "127.0.0.1:0");
    wsp_config_set_shards(config, 1);
    wsp_config_set_max_outbox_bytes(config, 1 << 30);
    if ((callbacks == NULL ? wsp_server_start_hosted(config, &server)
                           : wsp_server_start(config, callbacks, &server)) != WSP_STATUS_OK)
        die("start");
    wsp_config_free(config);
    return server;
}

static void callbacks(const char *name, wsp_event_fn callback) {
    wsp_callbacks callbacks = {0};
    struct link link;
    callbacks.size = sizeof callbacks;
    callbacks.on_message = callback;
    callbacks.on_thread_stop = on_thread_stop;
    link.server = start(&callbacks);
    connect_beside(&link);
    client(&link);
    close(link.fd);
    /* Joins the shard's thread. */
    wsp_server_stop(link.server, 0);
    wsp_server_free(link.server);
    row(name, shard_seconds, (double)BURST * BURSTS);
}

/* ---- hosted mode ---- */

static void batches(size_t capacity) {
    static wsp_event events[MANY];
    struct link link;
    pthread_t thread;
    char name[64];
    unsigned long total = 0;
    size_t count, i;
    double before;
    link.server = start(NULL);
    /* The handshake needs turns of the shard, so the client runs beside it. */
    pthread_create(&thread, NULL, connect_beside, &link);
    do {
        if (wsp_server_poll(link.server, 0, events, 1, -1, &count) != WSP_STATUS_OK)
            die("poll");
    } while (count == 0 || events[0].kind != WSP_EVENT_OPEN);
    wsp_server_flush(link.server, 0);
    pthread_join(thread, NULL);
    before = thread_seconds();
    pthread_create(&thread, NULL, client, &link);
    while (total < (unsigned long)BURST * BURSTS) {
        if (wsp_server_poll(link.server, 0, events, capacity, -1, &count) != WSP_STATUS_OK)
            die("poll");
        for (i = 0; i < count; i++) {
            total += events[i].kind == WSP_EVENT_MESSAGE;
            bytes_seen += events[i].len;
        }
    }
    snprintf(name, sizeof name, "message, batches of %zu", capacity);
    row(name, thread_seconds() - before, (double)total);
    pthread_join(thread, NULL);
    close(link.fd);
    wsp_server_free(link.server);
}

/* ---- from another thread ---- */

static void *swallow(void *argument) {
    static char buffer[1 << 20];
    while (recv(*(int *)argument, buffer, sizeof buffer, 0) > 0)
        continue;
    return NULL;
}

static void sends(size_t at_once) {
    static wsp_outgoing items[MANY];
    static uint8_t payload[PAYLOAD];
    wsp_callbacks callbacks = {0};
    wsp_server *server;
    int fd;
    pthread_t thread;
    double before;
    size_t i, sent, done = 0, refused = 0;
    char name[64];
    atomic_store(&client_id, 0);
    callbacks.size = sizeof callbacks;
    callbacks.on_open = on_open;
    server = start(&callbacks);
    fd = connect_to(wsp_server_port(server), "/");
    while (atomic_load(&client_id) == 0)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    pthread_create(&thread, NULL, swallow, &fd);
    before = thread_seconds();
    while (done < SENDS) {
        if (at_once == 1) {
            sent = wsp_server_send_binary(server, atomic_load(&client_id), payload, PAYLOAD) ==
                   WSP_STATUS_OK;
        } else {
            for (i = 0; i < at_once; i++) {
                items[i].conn = atomic_load(&client_id);
                items[i].data = payload + i % 2; /* not one message for all */
                items[i].len = PAYLOAD - 1;
                items[i].kind = WSP_MESSAGE_BINARY;
            }
            wsp_server_send_many(server, items, at_once, &sent);
        }
        done += sent;
        refused += at_once - sent;
    }
    snprintf(name, sizeof name, "send from elsewhere, %zu at once", at_once);
    row(name, thread_seconds() - before, (double)done);
    if (refused > 0)
        printf("  (%zu were refused)\n", refused);
    shutdown(fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(fd);
    wsp_server_free(server);
}

int main(void) {
    callbacks("message, nobody is told", NULL);
    callbacks("message, callback", on_message);
    batches(1);
    batches(16);
    batches(MANY);
    sends(1);
    sends(MANY);
    return 0;
}
