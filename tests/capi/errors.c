/* What the library says to arguments that are wrong: a status, a message, and nothing done. Exits with 0 if all is well,
 * else says what is not. Run by tests/ffi_errors.rs. */

#include "../../ffi-examples/c/portable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wspoll.h>

static int failures;

#define CHECK(condition) check((condition), #condition, __LINE__)

static void check(int holds, const char *what, int line) {
    if (holds)
        return;
    failures++;
    printf("line %d: %s; the last message is: %s\n", line, what, wsp_last_error_message());
}

#define INVALID(call) CHECK((call) == WSP_STATUS_INVALID_ARGUMENT)

static const uint8_t bytes[4] = {'a', 0xff, 'b', 0};
static const char not_utf8[] = "\xff";

static int says(const char *part) {
    return strstr(wsp_last_error_message(), part) != NULL;
}

static void versions(void) {
    CHECK(strcmp(wsp_version(), WSP_VERSION) == 0);
    CHECK(wsp_abi_version() == WSP_ABI_VERSION);
    CHECK(WSP_CHECK_ABI() == WSP_STATUS_OK);
    CHECK(wsp_abi_check(0x00020000) == WSP_STATUS_UNSUPPORTED);
    CHECK(says("2.0"));
    CHECK(wsp_abi_check(WSP_ABI_VERSION + 1) == WSP_STATUS_UNSUPPORTED);
    CHECK(strcmp(wsp_status_name(WSP_STATUS_GONE), "WSP_STATUS_GONE") == 0);
    CHECK(strcmp(wsp_status_name(-7), "WSP_STATUS_?") == 0);
}

static void nothing_to_free(void) {
    wsp_config_free(NULL);
    wsp_server_free(NULL);
    wsp_response_free(NULL);
    wsp_stream_free(NULL);
    wsp_poller_free(NULL);
    CHECK(wsp_server_retain(NULL) == NULL);
}

static void admin(void) {
    wsp_config *config = wsp_config_new();
    INVALID(wsp_config_set_admin(NULL, "off"));
    INVALID(wsp_config_set_admin(config, NULL));
    INVALID(wsp_config_set_admin_token(config, not_utf8));
    CHECK(wsp_config_set_admin(config, "6060") == WSP_STATUS_INVALID_SETTING);
    CHECK(says("admin") && says("6060"));
    CHECK(wsp_config_set_admin_token(config, "two words") == WSP_STATUS_INVALID_SETTING);
    CHECK(says("admin_token") && !says("words"));
    CHECK(wsp_config_set_admin_token(config, "") == WSP_STATUS_OK);
    CHECK(wsp_config_set_admin(config, "off") == WSP_STATUS_OK);
    CHECK(wsp_server_admin_port(NULL) == 0);

    wsp_callbacks callbacks = {.size = sizeof callbacks};
    wsp_server *server = NULL;
    CHECK(wsp_config_set(config, "listen", "127.0.0.1:0") == WSP_STATUS_OK);
    CHECK(wsp_server_start(config, &callbacks, &server) == WSP_STATUS_OK);
    CHECK(wsp_server_admin_port(server) == 0);
    wsp_server_stop(server, 0);
    wsp_server_free(server);
    server = NULL;
    /* Built with it or not, it is there or refused, never silently left out. */
    CHECK(wsp_config_set_admin(config, "127.0.0.1:0") == WSP_STATUS_OK);
    wsp_status status = wsp_server_start(config, &callbacks, &server);
    if (status == WSP_STATUS_OK) {
        CHECK(wsp_server_admin_port(server) != 0);
        wsp_server_stop(server, 0);
        wsp_server_free(server);
    } else {
        CHECK(status == WSP_STATUS_INVALID_SETTING);
        CHECK(says("admin is") && says("feature"));
    }
    wsp_config_free(config);
}

static void configuration(void) {
    wsp_config *config = wsp_config_new();
    INVALID(wsp_config_set(NULL, "shards", "1"));
    INVALID(wsp_config_set(config, NULL, "1"));
    INVALID(wsp_config_set(config, "shards", NULL));
    INVALID(wsp_config_set(config, "shards", not_utf8));
    CHECK(wsp_config_set(config, "shards", "many") == WSP_STATUS_INVALID_SETTING);
    CHECK(says("shards") && says("many"));
    CHECK(wsp_config_set(config, "colour", "blue") == WSP_STATUS_INVALID_SETTING);
    CHECK(says("colour"));
    CHECK(wsp_config_add_listen(config, "8000") == WSP_STATUS_INVALID_SETTING);
    CHECK(wsp_config_add_listen(config, "unix:") == WSP_STATUS_INVALID_SETTING);
    CHECK(says("listen") && says("unix:"));
    CHECK(wsp_config_set_unix_mode(config, 01777) == WSP_STATUS_OK);
    CHECK(wsp_config_check(config) == WSP_STATUS_INVALID_SETTING);
    CHECK(says("unix_mode") && says("1777"));
    CHECK(wsp_config_set_unix_mode(config, 0600) == WSP_STATUS_OK);
    CHECK(wsp_config_set_ipv6_only(config, true) == WSP_STATUS_OK);
    CHECK(wsp_config_add_trusted_proxy(config, "10.0.0.0/33") == WSP_STATUS_INVALID_SETTING);
    CHECK(says("trusted_proxies") && says("10.0.0.0/33"));
    INVALID(wsp_config_set_forwarded_header(config, 3));
    CHECK(wsp_config_set_forwarded_header(config, WSP_FORWARDED_HEADER_FORWARDED) == WSP_STATUS_OK);
    CHECK(wsp_config_set_proxy_protocol(config, true) == WSP_STATUS_OK);
    CHECK(wsp_config_check(config) == WSP_STATUS_INVALID_SETTING);
    CHECK(says("proxy_protocol") && says("trusted_proxies"));
    CHECK(wsp_config_add_trusted_proxy(config, "10.0.0.0/8") == WSP_STATUS_OK);
    CHECK(wsp_config_set_origin(config, "") == WSP_STATUS_INVALID_SETTING);
    CHECK(wsp_config_add_subprotocol(config, "a b") == WSP_STATUS_INVALID_SETTING);
    INVALID(wsp_config_set_slow_consumer(config, 3));
    INVALID(wsp_config_set_shards(NULL, 1));
    CHECK(wsp_config_check(config) == WSP_STATUS_OK);
    CHECK(wsp_config_set_shards(config, 5000) == WSP_STATUS_OK);
    CHECK(wsp_config_check(config) == WSP_STATUS_INVALID_SETTING);
    CHECK(says("shards") && says("5000"));
    wsp_config_free(config);
}

static void start(void) {
    wsp_callbacks callbacks = {0};
    wsp_config *config = wsp_config_new();
    wsp_server *server = (wsp_server *)&callbacks;
    INVALID(wsp_server_start(config, NULL, &server));
    INVALID(wsp_server_start(config, &callbacks, &server));
    CHECK(says("callbacks.size"));
    callbacks.size = sizeof callbacks;
    INVALID(wsp_server_start(config, &callbacks, NULL));
    INVALID(wsp_server_start_hosted(config, NULL));
    wsp_config_set_ping_interval_ms(config, 60000);
    CHECK(wsp_server_start(config, &callbacks, &server) == WSP_STATUS_INVALID_SETTING);
    CHECK(says("pong_timeout"));
    wsp_config_set_ping_interval_ms(config, 1000);
    wsp_config_add_listen(config, "203.0.113.1:1");
    CHECK(wsp_server_start(config, &callbacks, &server) == WSP_STATUS_IO);
    CHECK(says("203.0.113.1:1"));
    CHECK(server == (wsp_server *)&callbacks); /* Outputs are written only on success. */
    wsp_config_free(config);
}

static void free_counted(void *data, void *user) {
    (void)data;
    ++*(int *)user;
}

static wsp_server *hosted(void) {
    wsp_server *server = NULL;
    wsp_config *config = wsp_config_new();
    wsp_config_add_listen(config, "127.0.0.1:0");
    wsp_config_set_shards(config, 2);
    CHECK(wsp_server_start_hosted(config, &server) == WSP_STATUS_OK);
    wsp_config_free(config);
    return server;
}

static void calls(void) {
    const wsp_conn_id nobody = 0x100000000u;
    wsp_server *server = hosted();
    wsp_outgoing items[3];
    wsp_stream *stream;
    wsp_conn_info info = {0};
    wsp_stats stats = {0};
    size_t sent = 99;
    void *user;
    char text[8];
    int freed = 0;

    INVALID(wsp_server_send_text(NULL, nobody, bytes, 1));
    INVALID(wsp_server_send_text(server, nobody, NULL, 1));
    INVALID(wsp_server_send_text(server, nobody, bytes, 2));
    CHECK(says("UTF-8"));
    INVALID(wsp_server_send_binary(server, nobody, bytes, (size_t)-1));
    CHECK(wsp_server_send_text(server, nobody, NULL, 0) == WSP_STATUS_GONE);
    CHECK(wsp_server_send_binary(server, nobody, bytes, 4) == WSP_STATUS_GONE);
    CHECK(wsp_server_send_binary(server, 0, bytes, 4) == WSP_STATUS_GONE);
    CHECK(wsp_server_send_binary(server, UINT64_MAX, bytes, 4) == WSP_STATUS_GONE);
    CHECK(wsp_conn_shard(0) == 0);

    INVALID(wsp_server_send_owned(server, nobody, WSP_MESSAGE_TEXT, NULL, 0, NULL, NULL));
    CHECK(wsp_server_send_owned(server, nobody, WSP_MESSAGE_BINARY, (uint8_t *)text, 1, free_counted,
                                &freed) == WSP_STATUS_GONE);
    INVALID(wsp_server_send_owned(NULL, nobody, 7, (uint8_t *)text, 1, free_counted, &freed));
    CHECK(freed == 2); /* Exactly once each, also when it fails. */

    INVALID(wsp_server_send_many(server, NULL, 1, &sent));
    CHECK(sent == 99);
    CHECK(wsp_server_send_many(server, NULL, 0, NULL) == WSP_STATUS_OK);
    memset(items, 0, sizeof items);
    items[0].conn = items[1].conn = items[2].conn = nobody;
    items[0].kind = WSP_MESSAGE_BINARY;
    items[1].kind = 9;
    items[2].kind = WSP_MESSAGE_TEXT;
    items[2].data = bytes;
    items[2].len = 2;
    CHECK(wsp_server_send_many(server, items, 3, &sent) == WSP_STATUS_OK && sent == 0);
    CHECK(items[0].status == WSP_STATUS_GONE);
    CHECK(items[1].status == WSP_STATUS_INVALID_ARGUMENT);
    CHECK(items[2].status == WSP_STATUS_INVALID_ARGUMENT);

    INVALID(wsp_server_publish(server, NULL, WSP_MESSAGE_TEXT, NULL, 0));
    INVALID(wsp_server_publish(server, not_utf8, WSP_MESSAGE_TEXT, NULL, 0));
    INVALID(wsp_server_publish(server, "room", 0, NULL, 0));
    CHECK(wsp_server_publish(server, "room", WSP_MESSAGE_TEXT, NULL, 0) == WSP_STATUS_OK);
    INVALID(wsp_server_broadcast(server, 3, NULL, 0));
    INVALID(wsp_server_join(server, nobody, NULL));
    CHECK(wsp_server_join(server, nobody, "room") == WSP_STATUS_GONE);
    CHECK(wsp_server_leave(server, nobody, "room") == WSP_STATUS_GONE);
    INVALID(wsp_server_close(server, nobody, 1005, NULL));
    INVALID(wsp_server_close(server, nobody, 1000, not_utf8));
    CHECK(wsp_server_close(server, nobody, 1000, NULL) == WSP_STATUS_GONE);
    CHECK(wsp_server_ping(server, nobody, NULL, 0) == WSP_STATUS_GONE);
    CHECK(wsp_server_accept(server, nobody, NULL, NULL) == WSP_STATUS_GONE);
    INVALID(wsp_server_reject(server, nobody, 101, NULL));
    CHECK(wsp_server_reject(server, nobody, 403, NULL) == WSP_STATUS_GONE);
    INVALID(wsp_server_respond(server, nobody, NULL));
    CHECK(wsp_stream_begin(server, nobody, WSP_MESSAGE_TEXT, &stream) == WSP_STATUS_GONE);
    INVALID(wsp_stream_begin(server, nobody, 0, &stream));
    INVALID(wsp_stream_write(NULL, NULL, 0));
    INVALID(wsp_stream_end(NULL));

    CHECK(wsp_server_conn_user(server, nobody, &user) == WSP_STATUS_WRONG_THREAD);
    INVALID(wsp_server_conn_info(server, nobody, &info));
    INVALID(wsp_server_stats(server, &stats));
    stats.size = sizeof stats;
    CHECK(wsp_server_stats(server, &stats) == WSP_STATUS_OK && stats.connections == 0);
    INVALID(wsp_server_shard_stats(server, 2, &stats));
    INVALID(wsp_server_local_addr(server, 0, text, sizeof text));
    INVALID(wsp_server_local_addr(server, 1, text, sizeof text));
    CHECK(wsp_server_port(NULL) == 0 && wsp_server_shards(NULL) == 0 && wsp_server_shards(server) == 2);

    INVALID(wsp_server_adopt(server, -1, NULL, 0));
    CHECK(wsp_server_adopt(server, (wsp_fd)socket(AF_INET, SOCK_STREAM, 0), NULL, 0) == WSP_STATUS_IO);
#ifndef _WIN32
    CHECK(wsp_server_adopt(server, dup(0), NULL, 0) == WSP_STATUS_IO);
#endif
    wsp_server_free(server);
}

static THREAD_RESULT poll_elsewhere(void *argument) {
    wsp_event event;
    size_t count;
    CHECK(wsp_server_poll(argument, 0, &event, 1, 0, &count) == WSP_STATUS_WRONG_THREAD);
    CHECK(wsp_server_flush(argument, 0) == WSP_STATUS_WRONG_THREAD);
    CHECK(wsp_server_release(argument, 0) == WSP_STATUS_WRONG_THREAD);
    /* The other shard is free. */
    CHECK(wsp_server_poll(argument, 1, &event, 1, 0, &count) == WSP_STATUS_OK);
    CHECK(wsp_server_release(argument, 1) == WSP_STATUS_OK);
    return 0;
}

static void polls(void) {
    wsp_server *server = hosted();
    wsp_callbacks callbacks = {0};
    wsp_event event;
    thread elsewhere;
    size_t count = 99;
    int32_t timeout;
    wsp_fd fd;

    INVALID(wsp_server_poll(server, 2, &event, 1, 0, &count));
    INVALID(wsp_server_poll(server, 0, NULL, 1, 0, &count));
    INVALID(wsp_server_poll(server, 0, &event, 0, 0, &count));
    INVALID(wsp_server_poll(server, 0, &event, 1, 0, NULL));
    CHECK(count == 99);
    CHECK(wsp_server_poll(server, 0, &event, 1, 0, &count) == WSP_STATUS_OK && count == 0);
    CHECK(wsp_server_wake(server, 0) == WSP_STATUS_OK);
    CHECK(wsp_server_poll(server, 0, &event, 1, -1, &count) == WSP_STATUS_OK && count == 0);
#ifdef NEITHER_EPOLL_NOR_KQUEUE
    CHECK(wsp_server_shard_fd(server, 0, &fd) == WSP_STATUS_UNSUPPORTED);
#else
    CHECK(wsp_server_shard_fd(server, 0, &fd) == WSP_STATUS_OK && fd >= 0);
#endif
    CHECK(wsp_server_shard_timeout(server, 0, &timeout) == WSP_STATUS_OK && timeout == -1);
    if (thread_start(&elsewhere, poll_elsewhere, server))
        thread_join(elsewhere);
    CHECK(wsp_server_poll(server, 1, &event, 1, 0, &count) == WSP_STATUS_OK);
    CHECK(wsp_server_stop(server, 0) == WSP_STATUS_OK);
    while (wsp_server_poll(server, 0, &event, 1, -1, &count) == WSP_STATUS_OK)
        continue;
    CHECK(wsp_server_poll(server, 0, &event, 1, -1, &count) == WSP_STATUS_SHUT_DOWN);
    CHECK(wsp_server_broadcast(server, WSP_MESSAGE_TEXT, NULL, 0) == WSP_STATUS_OK ||
          wsp_server_broadcast(server, WSP_MESSAGE_TEXT, NULL, 0) == WSP_STATUS_SHUT_DOWN);
    wsp_server_free(server);

    callbacks.size = sizeof callbacks;
    wsp_config *config = wsp_config_new();
    wsp_config_clear_listen(config);
    CHECK(wsp_server_start(config, &callbacks, &server) == WSP_STATUS_OK);
    CHECK(wsp_server_port(server) == 0);
    CHECK(wsp_server_poll(server, 0, &event, 1, 0, &count) == WSP_STATUS_UNSUPPORTED);
    CHECK(wsp_server_retain(server) == server);
    wsp_server_free(server);
    CHECK(wsp_server_shards(server) > 0); /* The first reference is still there. */
    CHECK(wsp_server_stop(server, 0) == WSP_STATUS_OK);
    CHECK(wsp_server_stop(server, WSP_DRAIN_TIMEOUT_DEFAULT) == WSP_STATUS_OK);
    CHECK(wsp_server_broadcast(server, WSP_MESSAGE_TEXT, NULL, 0) == WSP_STATUS_SHUT_DOWN);
    wsp_server_free(server);
    wsp_config_free(config);
}

static void requests_and_responses(void) {
    wsp_response *response = wsp_response_new(101);
    CHECK(wsp_response_new(42) == NULL);
    CHECK(says("42"));
    CHECK(wsp_request_path(NULL) == NULL && wsp_request_header(NULL, "Host") == NULL);
    CHECK(wsp_request_header_count(NULL) == 0);
    INVALID(wsp_response_set_status(response, 100));
    INVALID(wsp_response_set_status(NULL, 200));
    INVALID(wsp_response_add_header(response, "a\r\nb", "c"));
    INVALID(wsp_response_add_header(response, "a", "b\nc: d"));
    INVALID(wsp_response_add_header(response, "Connection", "close"));
    INVALID(wsp_response_set_body(response, NULL, 1));
    INVALID(wsp_response_set_subprotocol(response, NULL));
    wsp_response_free(response);
}

/* Two connected sockets. */
static void connect_pair(socket_number pair[2]) {
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    socket_number listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        connect(pair[0], (struct sockaddr *)&address, size) != 0)
        exit(2);
    pair[1] = accept(listener, NULL, NULL);
    socket_close(listener);
}

static void poller(void) {
    wsp_poller *poller;
    wsp_ready ready[4];
    size_t count;
    socket_number pair[2];
    wsp_fd fd;
    connect_pair(pair);
    fd = (wsp_fd)pair[0];
    INVALID(wsp_poller_new(NULL));
    CHECK(wsp_poller_new(&poller) == WSP_STATUS_OK);
    INVALID(wsp_poller_add(NULL, fd, 1, WSP_INTEREST_READ, WSP_POLL_MODE_LEVEL));
    INVALID(wsp_poller_add(poller, -1, 1, WSP_INTEREST_READ, WSP_POLL_MODE_LEVEL));
    INVALID(wsp_poller_add(poller, fd, UINT64_MAX, WSP_INTEREST_READ, WSP_POLL_MODE_LEVEL));
    INVALID(wsp_poller_add(poller, fd, 1, 4, WSP_POLL_MODE_LEVEL));
    INVALID(wsp_poller_add(poller, fd, 1, WSP_INTEREST_READ, 3));
    CHECK(wsp_poller_modify(poller, fd, 1, WSP_INTEREST_READ, WSP_POLL_MODE_LEVEL) ==
          WSP_STATUS_IO);
    CHECK(wsp_poller_remove(poller, fd) == WSP_STATUS_IO);
    CHECK(wsp_poller_add(poller, fd, 7, WSP_INTEREST_READ, WSP_POLL_MODE_LEVEL) ==
          WSP_STATUS_OK);
    CHECK(wsp_poller_add(poller, fd, 7, WSP_INTEREST_READ, WSP_POLL_MODE_LEVEL) ==
          WSP_STATUS_IO);
    INVALID(wsp_poller_wait(poller, NULL, 4, 0, &count));
    INVALID(wsp_poller_wait(poller, ready, 0, 0, &count));
    CHECK(wsp_poller_wait(poller, ready, 4, 0, &count) == WSP_STATUS_OK && count == 0);
    CHECK(wsp_poller_notify(poller) == WSP_STATUS_OK);
    CHECK(wsp_poller_wait(poller, ready, 4, -1, &count) == WSP_STATUS_OK && count == 0);
    CHECK(send(pair[1], "x", 1, 0) == 1);
    CHECK(wsp_poller_wait(poller, ready, 4, -1, &count) == WSP_STATUS_OK && count == 1);
    CHECK(ready[0].key == 7 && (ready[0].flags & WSP_READY_READ) != 0);
    CHECK(wsp_poller_remove(poller, fd) == WSP_STATUS_OK);
#ifdef NEITHER_EPOLL_NOR_KQUEUE
    CHECK(wsp_poller_add(poller, fd, 7, WSP_INTEREST_READ, WSP_POLL_MODE_EDGE) == WSP_STATUS_UNSUPPORTED);
#endif
    wsp_poller_free(poller);
    socket_close(pair[0]);
    socket_close(pair[1]);
}

static void log_is_called(wsp_log_level level, const char *target, const char *message, void *user) {
    (void)level;
    CHECK(strncmp(target, "wspoll", 6) == 0 && *message != '\0');
    CHECK(wsp_log_set(NULL, NULL, WSP_LOG_LEVEL_OFF) == WSP_STATUS_UNSUPPORTED);
    ++*(int *)user;
}

static void logging(void) {
    int records = 0;
    INVALID(wsp_log_set(log_is_called, &records, 6));
    CHECK(wsp_log_set(log_is_called, &records, WSP_LOG_LEVEL_INFO) == WSP_STATUS_OK);
    wsp_server_free(hosted());
    CHECK(records > 0);
    CHECK(wsp_log_set(NULL, NULL, WSP_LOG_LEVEL_OFF) == WSP_STATUS_OK);
    records = 0;
    wsp_server_free(hosted());
    CHECK(records == 0);
}

int main(void) {
    if (!sockets_start())
        return 2;
    versions();
    nothing_to_free();
    configuration();
    admin();
    start();
    calls();
    polls();
    requests_and_responses();
    poller();
    logging();
    return failures > 0;
}
