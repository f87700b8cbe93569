/* What a client does, seen from C: with right and wrong arguments, against a server in the same process. Exits with 0 if
 * all is well, else says what is not. Run by tests/ffi_errors.rs. */

#include "../../ffi-examples/c/portable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wspoll.h>

#define PATIENCE_MS 30000

static int failures;

#define CHECK(condition) check((condition), #condition, __LINE__)

static int check(int holds, const char *what, int line) {
    if (!holds) {
        failures++;
        printf("line %d: %s; the last message is: %s\n", line, what, wsp_last_error_message());
    }
    return holds;
}

#define OK(call) CHECK((call) == WSP_STATUS_OK)
#define INVALID(call) CHECK((call) == WSP_STATUS_INVALID_ARGUMENT)

static int says(const char *part) {
    return strstr(wsp_last_error_message(), part) != NULL;
}

static const uint8_t *bytes(const char *text) {
    return (const uint8_t *)text;
}

/* The server: echoes, refuses /refused, and stops reading from whoever says "pause" until somebody says "resume". */
static void on_upgrade(wsp_server *server, wsp_conn_id conn, const wsp_request *request,
                       wsp_response *response, void *user) {
    (void)server;
    (void)conn;
    (void)user;
    if (strcmp(wsp_request_path(request), "/refused") == 0) {
        wsp_response_set_status(response, 403);
        wsp_response_set_body(response, bytes("not you"), 7);
    } else if (strcmp(wsp_request_path(request), "/chat") == 0) {
        wsp_response_set_subprotocol(response, "chat");
    }
}

static wsp_conn_id paused;

static void on_message(wsp_server *server, const wsp_event *event, void *user) {
    (void)user;
    if (event->len == 5 && memcmp(event->data, "pause", 5) == 0) {
        /* Only this thread, the shard's, looks at it. */
        paused = event->conn;
        wsp_server_send_text(server, event->conn, event->data, event->len);
        wsp_server_pause(server, event->conn);
    } else if (event->len == 6 && memcmp(event->data, "resume", 6) == 0) {
        /* All connections are of one shard, whose thread this is. */
        wsp_server_resume(server, paused);
    } else if (event->len == 3 && memcmp(event->data, "bye", 3) == 0) {
        wsp_server_close(server, event->conn, 4001, "go");
    } else if (event->flags & WSP_EVENT_FLAG_TEXT) {
        wsp_server_send_text(server, event->conn, event->data, event->len);
    } else {
        wsp_server_send_binary(server, event->conn, event->data, event->len);
    }
}

static const char *url(wsp_server *server, const char *path) {
    static char text[100];
    snprintf(text, sizeof text, "ws://127.0.0.1:%u%s", (unsigned)wsp_server_port(server), path);
    return text;
}

static wsp_client_event next(wsp_client *client) {
    wsp_client_event event;
    memset(&event, 0, sizeof event);
    OK(wsp_client_recv(client, PATIENCE_MS, &event));
    return event;
}

static int is(const wsp_client_event *event, const char *text) {
    return event->kind == WSP_CLIENT_EVENT_MESSAGE && event->len == strlen(text) &&
           memcmp(event->data, text, event->len) == 0;
}

static wsp_client *connect_to(wsp_server *server, const char *path,
                              const wsp_client_config *config) {
    wsp_client *client = NULL;
    wsp_client_event event;
    if (!OK(wsp_client_connect(url(server, path), config, &client)))
        exit(1);
    event = next(client);
    CHECK(event.kind == WSP_CLIENT_EVENT_CONNECTED && event.message == NULL);
    return client;
}

static void wrong_arguments(wsp_server *server) {
    wsp_client_config *config = wsp_client_config_new();
    wsp_client *client = NULL;
    wsp_client_event event;
    uint64_t token;
    size_t count;
    wsp_client_config_free(NULL);
    wsp_client_free(NULL);
    wsp_client_group_free(NULL);
    INVALID(wsp_client_connect(NULL, NULL, &client));
    INVALID(wsp_client_connect("ws://127.0.0.1:1/", NULL, NULL));
    INVALID(wsp_client_start("http://127.0.0.1:1/", NULL, &client));
    INVALID(wsp_client_start("wss://127.0.0.1:1/", NULL, &client));
    CHECK(says("needs TLS"));
    INVALID(wsp_client_send(NULL, WSP_MESSAGE_TEXT, bytes("x"), 1, 0));
    INVALID(wsp_client_recv(NULL, 0, &event));
    INVALID(wsp_client_ping(NULL, NULL, 0));
    INVALID(wsp_client_close(NULL, 1000, NULL, 0));
    INVALID(wsp_client_group_wait(NULL, &token, 1, 0, &count));
    INVALID(wsp_client_group_wake(NULL));
    INVALID(wsp_client_config_add_header(NULL, "a", "b"));
    INVALID(wsp_client_config_add_header(config, "a", NULL));
    INVALID(wsp_client_config_add_subprotocol(config, NULL));
    INVALID(wsp_client_config_set_origin(config, "\xff"));
    INVALID(wsp_client_config_set_group(config, NULL, 1));
    INVALID(wsp_client_config_add_greeting(config, 3, NULL, 0));
    INVALID(wsp_client_config_add_greeting(config, WSP_MESSAGE_TEXT, bytes("\xff"), 1));
    OK(wsp_client_config_check(config));
    OK(wsp_client_config_set_pong_timeout_ms(config, 1));
    CHECK(wsp_client_config_check(config) == WSP_STATUS_INVALID_SETTING);
    CHECK(wsp_client_start(url(server, "/"), config, &client) == WSP_STATUS_INVALID_SETTING);
    CHECK(says("pong_timeout"));
    CHECK(client == NULL);
    wsp_client_config_free(config);

    client = connect_to(server, "/", NULL);
    INVALID(wsp_client_recv(client, 0, NULL));
    INVALID(wsp_client_send(client, 3, bytes("x"), 1, 0));
    INVALID(wsp_client_send(client, WSP_MESSAGE_TEXT, NULL, 1, 0));
    INVALID(wsp_client_send(client, WSP_MESSAGE_TEXT, bytes("\xff"), 1, 0));
    INVALID(wsp_client_ping(client, bytes("x"), 126));
    INVALID(wsp_client_close(client, 1006, NULL, 0));
    /* Freed without a close. */
    wsp_client_free(client);
}

static void no_connection(wsp_server *server) {
    wsp_client *client = NULL;
    wsp_client_event event;
    CHECK(wsp_client_connect("ws://127.0.0.1:1/", NULL, &client) == WSP_STATUS_IO);
    CHECK(says("connecting to 127.0.0.1:1"));
    CHECK(wsp_client_connect(url(server, "/refused"), NULL, &client) == WSP_STATUS_REFUSED);
    CHECK(says("403") && says("not you"));
    OK(wsp_client_start(url(server, "/refused"), NULL, &client));
    event = next(client);
    CHECK(event.kind == WSP_CLIENT_EVENT_DISCONNECTED && event.retry_in_ms == -1);
    CHECK(event.cause == WSP_CLIENT_CAUSE_NOT_CONNECTED && event.status == WSP_STATUS_REFUSED);
    CHECK(event.http_status == 403 && strstr(event.message, "403") != NULL);
    CHECK(wsp_client_recv(client, -1, &event) == WSP_STATUS_GONE);
    wsp_client_free(client);
}

static void messages(wsp_server *server) {
    wsp_client_config *config = wsp_client_config_new();
    wsp_client *client;
    wsp_client_event event;
    char *large = calloc(60000, 1);
    OK(wsp_client_config_add_subprotocol(config, "chat"));
    OK(wsp_client_config_add_header(config, "X-More", "1"));
    OK(wsp_client_config_add_greeting(config, WSP_MESSAGE_TEXT, bytes("first"), 5));
    OK(wsp_client_config_add_greeting(config, WSP_MESSAGE_BINARY, bytes("second"), 6));
    OK(wsp_client_connect(url(server, "/chat"), config, &client));
    wsp_client_config_free(config);
    event = next(client);
    CHECK(event.kind == WSP_CLIENT_EVENT_CONNECTED);
    CHECK(event.len == 4 && memcmp(event.data, "chat", 4) == 0);
    event = next(client);
    CHECK(is(&event, "first") && event.flags == WSP_EVENT_FLAG_TEXT);
    event = next(client);
    CHECK(is(&event, "second") && event.flags == 0);
    OK(wsp_client_send(client, WSP_MESSAGE_BINARY, (const uint8_t *)large, 60000, 0));
    event = next(client);
    CHECK(event.len == 60000 && memcmp(event.data, large, 60000) == 0);
    OK(wsp_client_send(client, WSP_MESSAGE_TEXT, NULL, 0, -1));
    event = next(client);
    CHECK(is(&event, "") && event.data != NULL);
    OK(wsp_client_ping(client, bytes("there?"), 6));
    event = next(client);
    CHECK(event.kind == WSP_CLIENT_EVENT_PONG && memcmp(event.data, "there?", 6) == 0);
    CHECK(wsp_client_recv(client, 0, &event) == WSP_STATUS_TIMED_OUT);
    CHECK(wsp_client_recv(client, 10, &event) == WSP_STATUS_TIMED_OUT);
    OK(wsp_client_send(client, WSP_MESSAGE_TEXT, bytes("last"), 4, 0));
    OK(wsp_client_close(client, 4000, "done", PATIENCE_MS));
    CHECK(wsp_client_send(client, WSP_MESSAGE_TEXT, bytes("late"), 4, -1) == WSP_STATUS_GONE);
    event = next(client);
    CHECK(is(&event, "last"));
    event = next(client);
    CHECK(event.cause == WSP_CLIENT_CAUSE_CLIENT && event.code == 4000 && event.retry_in_ms == -1);
    CHECK(event.status == WSP_STATUS_OK && event.http_status == 0 && event.message != NULL);
    CHECK(wsp_client_recv(client, -1, &event) == WSP_STATUS_GONE);
    wsp_client_free(client);
    free(large);

    client = connect_to(server, "/", NULL);
    OK(wsp_client_send(client, WSP_MESSAGE_TEXT, bytes("bye"), 3, 0));
    event = next(client);
    CHECK(event.cause == WSP_CLIENT_CAUSE_SERVER && event.code == 4001);
    CHECK(strcmp(event.message, "closed by the server (4001 \"go\")") == 0);
    wsp_client_free(client);
}

/* Waits for "x". */
static THREAD_RESULT receive(void *argument) {
    wsp_client_event event;
    wsp_status status;
    /* The other thread looks in now and then. */
    do {
        status = wsp_client_recv(argument, PATIENCE_MS, &event);
    } while (status == WSP_STATUS_WRONG_THREAD);
    CHECK(status == WSP_STATUS_OK && is(&event, "x"));
    return 0;
}

static void one_receiver(wsp_server *server) {
    wsp_client *client = connect_to(server, "/", NULL);
    wsp_client_event event;
    wsp_status status;
    thread receiving;
    if (!thread_start(&receiving, receive, client))
        exit(1);
    do {
        status = wsp_client_recv(client, 0, &event);
    } while (status == WSP_STATUS_TIMED_OUT);
    CHECK(status == WSP_STATUS_WRONG_THREAD);
    OK(wsp_client_send(client, WSP_MESSAGE_TEXT, bytes("x"), 1, 0));
    thread_join(receiving);
    wsp_client_free(client);
}

/* A server that does not read fills the outbox; a group tells when there is room again. */
static void pressure(wsp_server *server) {
    wsp_client_group *group = wsp_client_group_new();
    wsp_client_config *config = wsp_client_config_new();
    wsp_client *client, *other;
    wsp_client_event event;
    wsp_status status;
    static uint8_t payload[50000];
    uint64_t token = 0;
    size_t count;
    OK(wsp_client_config_set_group(config, group, 7));
    OK(wsp_client_config_set_max_outbox_bytes(config, sizeof payload));
    OK(wsp_client_config_set_write_timeout_ms(config, 0));
    OK(wsp_client_connect(url(server, "/"), config, &client));
    wsp_client_config_free(config);
    OK(wsp_client_group_wait(group, &token, 1, PATIENCE_MS, &count));
    CHECK(count == 1 && token == 7);
    event = next(client);
    CHECK(event.kind == WSP_CLIENT_EVENT_CONNECTED);
    CHECK(wsp_client_send(client, WSP_MESSAGE_TEXT, payload, sizeof payload + 1, 0) ==
          WSP_STATUS_INVALID_ARGUMENT);
    OK(wsp_client_send(client, WSP_MESSAGE_TEXT, bytes("pause"), 5, 0));
    event = next(client);
    CHECK(is(&event, "pause"));
    do {
        status = wsp_client_send(client, WSP_MESSAGE_BINARY, payload, sizeof payload, 500);
    } while (status == WSP_STATUS_OK);
    CHECK(status == WSP_STATUS_TIMED_OUT);
    CHECK(wsp_client_send(client, WSP_MESSAGE_BINARY, payload, 1, 0) == WSP_STATUS_BACKPRESSURE);
    /* What was reported on the way here is old news. */
    do {
        OK(wsp_client_group_wait(group, &token, 1, 0, &count));
    } while (count > 0);
    other = connect_to(server, "/", NULL);
    OK(wsp_client_send(other, WSP_MESSAGE_TEXT, bytes("resume"), 6, 0));
    do {
        OK(wsp_client_group_wait(group, &token, 1, PATIENCE_MS, &count));
        status = wsp_client_send(client, WSP_MESSAGE_BINARY, payload, 1, 0);
    } while (count == 1 && status == WSP_STATUS_BACKPRESSURE);
    CHECK(count == 1 && status == WSP_STATUS_OK);
    wsp_client_group_free(group);
    event = next(client);
    CHECK(event.len == sizeof payload);
    wsp_client_free(other);
    wsp_client_free(client);
}

static void many(wsp_server *server) {
    enum { COUNT = 20 };
    wsp_client_group *group = wsp_client_group_new();
    wsp_client *clients[COUNT];
    int echoes[COUNT] = {0};
    uint64_t tokens[4];
    size_t count, i;
    int left = COUNT;
    OK(wsp_client_group_wake(group));
    OK(wsp_client_group_wait(group, tokens, 4, -1, &count));
    CHECK(count == 0);
    for (i = 0; i < COUNT; i++) {
        wsp_client_config *config = wsp_client_config_new();
        OK(wsp_client_config_set_group(config, group, i));
        OK(wsp_client_start(url(server, "/"), config, &clients[i]));
        OK(wsp_client_send(clients[i], WSP_MESSAGE_TEXT, bytes("early"), 5, 0));
        wsp_client_config_free(config);
    }
    while (left > 0) {
        wsp_client_event event;
        OK(wsp_client_group_wait(group, tokens, 4, PATIENCE_MS, &count));
        if (!CHECK(count >= 1 && count <= 4))
            break;
        for (i = 0; i < count; i++)
            while (wsp_client_recv(clients[tokens[i]], 0, &event) == WSP_STATUS_OK)
                if (is(&event, "early") && ++echoes[tokens[i]] == 1)
                    left--;
    }
    for (i = 0; i < COUNT; i++) {
        CHECK(echoes[i] == 1);
        wsp_client_free(clients[i]);
    }
    wsp_client_group_free(group);
}

int main(void) {
    wsp_callbacks callbacks = {0};
    wsp_config *config = wsp_config_new();
    wsp_server *server;
    callbacks.size = sizeof callbacks;
    callbacks.on_upgrade = on_upgrade;
    callbacks.on_message = on_message;
    OK(wsp_config_add_listen(config, "127.0.0.1:0"));
    OK(wsp_config_set_shards(config, 1));
    if (!OK(wsp_server_start(config, &callbacks, &server)))
        return 1;
    wsp_config_free(config);
    wrong_arguments(server);
    no_connection(server);
    messages(server);
    one_receiver(server);
    pressure(server);
    many(server);
    wsp_server_stop(server, 0);
    wsp_server_free(server);
    return failures > 0;
}
