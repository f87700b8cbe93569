/* Hosted mode from its start to its end, with one client in the same thread: upgrade, batches in parts, answers, a
 * message in pieces, adoption, close. Says what is not as it should be. Run by tests/ffi_errors.rs. */

#include "../../ffi-examples/c/portable.h"

#ifndef _WIN32
#include <poll.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wspoll.h>

#define CHECK(condition) check((condition), #condition, __LINE__)

static void check(int holds, const char *what, int line) {
    if (holds)
        return;
    printf("line %d: %s; the last message is: %s\n", line, what, wsp_last_error_message());
    exit(1);
}

static const char request[] =
    "GET /path?a=b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: soap, chat\r\nX-Odd: \xff\r\n\r\n";

static socket_number connect_to(uint16_t port) {
    struct sockaddr_in address = {0};
    socket_number fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void expect(socket_number fd, const char *bytes, size_t len) {
    char buffer[4096];
    size_t have = 0;
    while (have < len) {
        int came = (int)recv(fd, buffer + have, len - have, 0);
        CHECK(came > 0);
        have += (size_t)came;
    }
    CHECK(memcmp(buffer, bytes, len) == 0);
}

static void skip_head(socket_number fd) {
    char head[2048];
    size_t have = 0;
    while (have < 4 || memcmp(head + have - 4, "\r\n\r\n", 4) != 0) {
        CHECK(have < sizeof head && recv(fd, head + have, 1, 0) == 1);
        have++;
    }
    CHECK(memcmp(head, "HTTP/1.1 101", 12) == 0);
}

/* The next event, whatever number of turns that takes. */
static wsp_event next(wsp_server *server) {
    wsp_event event;
    size_t count;
    do
        CHECK(wsp_server_poll(server, 0, &event, 1, 10000, &count) == WSP_STATUS_OK);
    while (count == 0);
    return event;
}

static int is(const wsp_event *event, const char *text) {
    return event->len == strlen(text) && memcmp(event->data, text, event->len) == 0;
}

static void asked(wsp_server *server, int *word) {
    wsp_event event = next(server);
    const wsp_request *asked = event.request;
    CHECK(event.kind == WSP_EVENT_UPGRADE && asked != NULL);
    CHECK(strcmp(wsp_request_method(asked), "GET") == 0);
    CHECK(strcmp(wsp_request_path(asked), "/path") == 0);
    CHECK(strcmp(wsp_request_query(asked), "a=b") == 0);
    CHECK(strcmp(wsp_request_host(asked), "localhost") == 0);
    CHECK(wsp_request_origin(asked) == NULL);
    CHECK(strcmp(wsp_request_header(asked, "UPGRADE"), "websocket") == 0);
    CHECK(strcmp(wsp_request_header(asked, "x-odd"), "\xff") == 0);
    CHECK(wsp_request_header(asked, "Cookie") == NULL);
    CHECK(wsp_request_header_count(asked) == 7);
    CHECK(strcmp(wsp_request_header_name(asked, 0), "Host") == 0);
    CHECK(strcmp(wsp_request_header_value(asked, 0), "localhost") == 0);
    CHECK(wsp_request_header_name(asked, 7) == NULL);
    CHECK(wsp_request_subprotocol_count(asked) == 2);
    CHECK(strcmp(wsp_request_subprotocol(asked, 1), "chat") == 0);
    CHECK(wsp_request_subprotocol(asked, 2) == NULL);
    CHECK(strcmp(wsp_request_peer_ip(asked), "127.0.0.1") == 0);
    CHECK(wsp_request_peer_port(asked) > 0);
    CHECK(wsp_server_accept(server, event.conn, "chat", word) == WSP_STATUS_OK);
}

static void known(wsp_server *server, wsp_conn_id conn, const int *word) {
    wsp_conn_info info = {0};
    void *user;
    info.size = sizeof info;
    CHECK(wsp_server_conn_info(server, conn, &info) == WSP_STATUS_OK);
    CHECK(info.conn_user == word && strcmp(info.peer_ip, "127.0.0.1") == 0 && info.peer_port > 0);
    CHECK(info.subprotocol_len == 4 && memcmp(info.subprotocol, "chat", 4) == 0);
    CHECK(wsp_server_conn_user(server, conn, &user) == WSP_STATUS_OK && user == word);
}

/* The shard's descriptor says that there is something to do. */
static void readable(wsp_server *server) {
    wsp_fd fd;
#ifdef NEITHER_EPOLL_NOR_KQUEUE
    CHECK(wsp_server_shard_fd(server, 0, &fd) == WSP_STATUS_UNSUPPORTED);
#else
    struct pollfd watched = {0};
    CHECK(wsp_server_shard_fd(server, 0, &fd) == WSP_STATUS_OK);
    watched.fd = (int)fd;
    watched.events = POLLIN;
    CHECK(poll(&watched, 1, 10000) == 1);
#endif
}

static void exchange(wsp_server *server, socket_number client, wsp_conn_id conn) {
    /* Three masked messages, with masks of zeros, in one segment. */
    static const char frames[] = "\x81\x81\0\0\0\0a\x82\x81\0\0\0\0b\x81\x81\0\0\0\0c";
    static const char answers[] = "\x81\1a\x82\1b\x81\1c";
    wsp_event events[3];
    wsp_outgoing items[3];
    size_t i, count;
    int32_t timeout;

    CHECK(wsp_server_shard_timeout(server, 0, &timeout) == WSP_STATUS_OK && timeout >= 0);
    CHECK(send(client, frames, sizeof frames - 1, 0) == sizeof frames - 1);
    readable(server);

    /* One by one; what was handed out stays where it is until all of it has been. */
    for (i = 0; i < 3; i++)
        events[i] = next(server);
    for (i = 0; i < 3; i++) {
        CHECK(events[i].kind == WSP_EVENT_MESSAGE && events[i].conn == conn);
        CHECK((events[i].flags & WSP_EVENT_FLAG_LAST) != 0);
        items[i].conn = conn;
        items[i].data = events[i].data;
        items[i].len = events[i].len;
        items[i].kind = events[i].flags & WSP_EVENT_FLAG_TEXT ? WSP_MESSAGE_TEXT : WSP_MESSAGE_BINARY;
    }
    CHECK(is(&events[0], "a") && is(&events[1], "b") && is(&events[2], "c"));
    CHECK(wsp_server_send_many(server, items, 3, &count) == WSP_STATUS_OK && count == 3);
    CHECK(wsp_server_flush(server, 0) == WSP_STATUS_OK);
    expect(client, answers, sizeof answers - 1);
}

static void pieces(wsp_server *server, socket_number client, wsp_conn_id conn) {
    static const char frames[] = "\x01\1x\0\1y\x80\0\x81\6behind";
    wsp_stream *stream, *other;
    CHECK(wsp_stream_begin(server, conn, WSP_MESSAGE_TEXT, &stream) == WSP_STATUS_OK);
    CHECK(wsp_stream_begin(server, conn, WSP_MESSAGE_TEXT, &other) == WSP_STATUS_OK);
    CHECK(wsp_stream_write(stream, (const uint8_t *)"x", 1) == WSP_STATUS_OK);
    CHECK(wsp_stream_write(other, (const uint8_t *)"x", 1) == WSP_STATUS_INVALID_ARGUMENT);
    CHECK(wsp_stream_write(stream, (const uint8_t *)"\xff", 1) == WSP_STATUS_INVALID_ARGUMENT);
    CHECK(wsp_server_send_text(server, conn, (const uint8_t *)"behind", 6) == WSP_STATUS_OK);
    CHECK(wsp_server_flush(server, 0) == WSP_STATUS_OK);
    CHECK(wsp_stream_write(stream, (const uint8_t *)"y", 1) == WSP_STATUS_OK);
    CHECK(wsp_stream_end(stream) == WSP_STATUS_OK);
    wsp_stream_free(other); /* Nothing of it was sent: the connection stays. */
    CHECK(wsp_server_flush(server, 0) == WSP_STATUS_OK);
    expect(client, frames, sizeof frames - 1);
}

static void rooms(wsp_server *server, socket_number client, wsp_conn_id conn) {
    CHECK(wsp_server_join(server, conn, "room") == WSP_STATUS_OK);
    CHECK(wsp_server_publish(server, "room", WSP_MESSAGE_TEXT, (const uint8_t *)"r", 1) == WSP_STATUS_OK);
    CHECK(wsp_server_leave(server, conn, "room") == WSP_STATUS_OK);
    CHECK(wsp_server_publish(server, "room", WSP_MESSAGE_TEXT, (const uint8_t *)"-", 1) == WSP_STATUS_OK);
    CHECK(wsp_server_broadcast(server, WSP_MESSAGE_BINARY, (const uint8_t *)"all", 3) == WSP_STATUS_OK);
    CHECK(wsp_server_ping(server, conn, (const uint8_t *)"p", 1) == WSP_STATUS_OK);
    CHECK(wsp_server_flush(server, 0) == WSP_STATUS_OK);
    expect(client, "\x81\1r\x82\3all\x89\1p", 11);
    CHECK(send(client, "\x8a\x81\0\0\0\0p", 7, 0) == 7);
    {
        wsp_event pong = next(server);
        CHECK(pong.kind == WSP_EVENT_PONG && is(&pong, "p"));
    }
}

static void adopted(wsp_server *server, int *word) {
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    socket_number client, accepted, listener = socket(AF_INET, SOCK_STREAM, 0);
    wsp_event event;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 8) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);

    client = connect_to(ntohs(address.sin_port));
    accepted = accept(listener, NULL, NULL);
    CHECK(wsp_server_adopt_upgraded(server, (wsp_fd)accepted, NULL, word, (const uint8_t *)"\x81\x80\0\0\0\0", 6) ==
          WSP_STATUS_OK);
    event = next(server);
    CHECK(event.kind == WSP_EVENT_OPEN && event.conn_user == word);
    event = next(server);
    CHECK(event.kind == WSP_EVENT_MESSAGE && event.len == 0 && event.data == NULL);
    CHECK(wsp_server_set_conn_user(server, event.conn, NULL) == WSP_STATUS_OK);
    socket_close(client);
    event = next(server);
    CHECK(event.kind == WSP_EVENT_CLOSE && event.code == 1006 && event.conn_user == NULL);
    CHECK(event.cause == WSP_CLOSE_CAUSE_END_OF_STREAM && event.sent_code == 0);

    client = connect_to(ntohs(address.sin_port));
    accepted = accept(listener, NULL, NULL);
    CHECK(wsp_server_adopt(server, (wsp_fd)accepted, (const uint8_t *)request, sizeof request - 1) ==
          WSP_STATUS_OK);
    asked(server, word);
    event = next(server);
    CHECK(event.kind == WSP_EVENT_OPEN && event.conn_user == word);
    socket_close(client);
    CHECK(next(server).kind == WSP_EVENT_CLOSE);
    socket_close(listener);
}

int main(void) {
    int word = 7;
    socket_number client;
    wsp_config *config = wsp_config_new();
    wsp_server *server;
    wsp_event event;
    wsp_conn_id conn;
    size_t count;

    CHECK(sockets_start());
    wsp_config_add_listen(config, "127.0.0.1:0");
    wsp_config_set_shards(config, 1);
    wsp_config_set_decide_upgrades(config, true);
    CHECK(wsp_server_start_hosted(config, &server) == WSP_STATUS_OK);
    wsp_config_free(config);

    client = connect_to(wsp_server_port(server));
    CHECK(send(client, request, sizeof request - 1, 0) == sizeof request - 1);
    asked(server, &word);
    event = next(server);
    CHECK(event.kind == WSP_EVENT_OPEN && event.conn_user == &word);
    CHECK(wsp_server_flush(server, 0) == WSP_STATUS_OK);
    conn = event.conn;
    CHECK(wsp_conn_shard(conn) == 0);
    skip_head(client);
    known(server, conn, &word);
    exchange(server, client, conn);
    pieces(server, client, conn);
    rooms(server, client, conn);
    adopted(server, &word);
    CHECK(wsp_server_connections(server) == 1);

    CHECK(wsp_server_close(server, conn, 4000, "bye") == WSP_STATUS_OK);
    CHECK(wsp_server_close(server, conn, 4000, "bye") == WSP_STATUS_GONE);
    CHECK(wsp_server_flush(server, 0) == WSP_STATUS_OK);
    expect(client, "\x88\5\x0f\xa0" "bye", 7);
    CHECK(send(client, "\x88\x84\0\0\0\0\x0f\xa0ok", 10, 0) == 10);
    event = next(server);
    CHECK(event.kind == WSP_EVENT_CLOSE && event.code == 4000 && event.cause == WSP_CLOSE_CAUSE_HOST);
    CHECK(event.sent_code == 4000 && event.received_code == 4000 && is(&event, "ok"));
    CHECK((event.flags & WSP_EVENT_FLAG_CLEAN) != 0 && event.conn_user == &word);
    socket_close(client);

    /* A connection that is open when the server stops. */
    client = connect_to(wsp_server_port(server));
    CHECK(send(client, request, sizeof request - 1, 0) == sizeof request - 1);
    asked(server, &word);
    CHECK(next(server).kind == WSP_EVENT_OPEN);
    CHECK(wsp_server_stop(server, 0) == WSP_STATUS_OK);
    event = next(server);
    CHECK(event.kind == WSP_EVENT_CLOSE && event.cause == WSP_CLOSE_CAUSE_SHUT_DOWN);
    while (wsp_server_poll(server, 0, &event, 1, -1, &count) == WSP_STATUS_OK)
        CHECK(count == 0);
    CHECK(wsp_server_poll(server, 0, &event, 1, -1, &count) == WSP_STATUS_SHUT_DOWN);
    socket_close(client);
    wsp_server_free(server);
    return 0;
}
