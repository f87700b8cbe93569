/* Pushes that leave one out or are counted, and policies of rooms, as C sees them. Prints what is wrong. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wspoll.h>

#define PATIENCE 30000

static int failures;

static void expect(wsp_status status, wsp_status wanted, const char *what) {
    if (status != wanted) {
        printf("%s: %s, not %s: %s\n", what, wsp_status_name(status), wsp_status_name(wanted),
               wsp_last_error_message());
        failures++;
    }
}

static void expect_counts(wsp_receipt *receipt, uint64_t delivered, uint64_t unknown,
                          const char *what) {
    wsp_pushed pushed = {0, 0, 0};
    expect(wsp_receipt_wait(receipt, PATIENCE, &pushed), WSP_STATUS_OK, what);
    if (pushed.delivered != delivered || pushed.dropped != 0 || pushed.unknown != unknown) {
        printf("%s: %llu, %llu, %llu\n", what, (unsigned long long)pushed.delivered,
               (unsigned long long)pushed.dropped, (unsigned long long)pushed.unknown);
        failures++;
    }
    wsp_receipt_free(receipt);
}

/* A server without connections: every push reaches nobody, and says so. */
static void managed(void) {
    static const uint8_t hello[] = {'h', 'i'};
    static const uint8_t broken[] = {0xff};
    wsp_callbacks callbacks = {.size = sizeof callbacks};
    wsp_config *config = wsp_config_new();
    wsp_server *server = NULL;
    wsp_receipt *receipt = NULL;
    wsp_conn_id nobody[2] = {0, 77};
    size_t members = 7;
    wsp_stats stats = {.size = sizeof stats};

    expect(wsp_config_set(config, "listen", "127.0.0.1:0"), WSP_STATUS_OK, "listen");
    expect(wsp_config_set_push_merge_ms(config, 5), WSP_STATUS_OK, "push_merge");
    expect(wsp_config_set_push_merge_bytes(config, 4096), WSP_STATUS_OK, "push_merge_bytes");
    expect(wsp_config_set_max_rooms_per_connection(config, 10), WSP_STATUS_OK, "rooms");
    expect(wsp_config_add_room_policy(config, "red", WSP_SLOW_CONSUMER_DROP_OLD), WSP_STATUS_OK,
           "a policy");
    expect(wsp_config_add_room_policy(config, NULL, WSP_SLOW_CONSUMER_CLOSE),
           WSP_STATUS_INVALID_ARGUMENT, "no room");
    expect(wsp_config_add_room_policy(config, "red", 9), WSP_STATUS_INVALID_ARGUMENT,
           "no such policy");
    expect(wsp_server_start(config, &callbacks, &server), WSP_STATUS_OK, "starting");
    wsp_config_free(config);

    expect(wsp_server_push_room(server, "red", 0, WSP_MESSAGE_TEXT, hello, 2, &receipt),
           WSP_STATUS_OK, "to a room");
    expect_counts(receipt, 0, 1, "a room without members");
    expect(wsp_server_push_all(server, 7, WSP_MESSAGE_BINARY, hello, 2, &receipt), WSP_STATUS_OK,
           "to all");
    expect_counts(receipt, 0, 0, "nobody is there");
    expect(wsp_server_push_conns(server, nobody, 2, WSP_MESSAGE_TEXT, hello, 2, &receipt),
           WSP_STATUS_OK, "to a list");
    expect_counts(receipt, 0, 2, "ids that nobody has");
    expect(wsp_server_push_conns(server, NULL, 0, WSP_MESSAGE_TEXT, NULL, 0, NULL), WSP_STATUS_OK,
           "to nobody");
    expect(wsp_server_push_room(server, "red", 0, WSP_MESSAGE_TEXT, hello, 2, NULL), WSP_STATUS_OK,
           "not counted");
    expect(wsp_server_push_all(server, 0, WSP_MESSAGE_TEXT, hello, 2, NULL), WSP_STATUS_OK,
           "not counted");

    receipt = NULL;
    expect(wsp_server_push_all(server, 0, WSP_MESSAGE_TEXT, broken, 1, &receipt),
           WSP_STATUS_INVALID_ARGUMENT, "not UTF-8");
    expect(wsp_server_push_room(server, NULL, 0, WSP_MESSAGE_TEXT, hello, 2, &receipt),
           WSP_STATUS_INVALID_ARGUMENT, "no room");
    expect(wsp_server_push_conns(server, NULL, 1, WSP_MESSAGE_TEXT, hello, 2, &receipt),
           WSP_STATUS_INVALID_ARGUMENT, "no list");
    expect(wsp_receipt_wait(NULL, 0, NULL), WSP_STATUS_INVALID_ARGUMENT, "no receipt");
    wsp_receipt_free(NULL);
    if (receipt != NULL)
        failures++, puts("a failed push wrote a receipt");

    expect(wsp_server_room_members(server, "red", PATIENCE, &members), WSP_STATUS_OK, "members");
    if (members != 0)
        failures++, printf("%zu members\n", members);
    expect(wsp_server_set_room_policy(server, "red", WSP_SLOW_CONSUMER_DROP_NEW), WSP_STATUS_OK,
           "another policy");
    expect(wsp_server_set_room_policy(server, "red", 3), WSP_STATUS_INVALID_ARGUMENT,
           "no such policy");
    expect(wsp_server_clear_room_policy(server, "red"), WSP_STATUS_OK, "no policy");

    expect(wsp_server_stats(server, &stats), WSP_STATUS_OK, "stats");
    if (stats.pushed_rooms != 2 || stats.pushed_all != 2 || stats.pushed_conns != 2 ||
        stats.memory == 0) {
        printf("pushed %llu, %llu, %llu, memory %llu\n", (unsigned long long)stats.pushed_rooms,
               (unsigned long long)stats.pushed_all, (unsigned long long)stats.pushed_conns,
               (unsigned long long)stats.memory);
        failures++;
    }
    wsp_server_stop(server, 0);
    expect(wsp_server_push_all(server, 0, WSP_MESSAGE_TEXT, hello, 2, NULL), WSP_STATUS_SHUT_DOWN,
           "too late");
    wsp_server_free(server);
}

/* A shard that nobody drives answers nothing, and its driver must not wait for itself. */
static void hosted(void) {
    wsp_config *config = wsp_config_new();
    wsp_server *server = NULL;
    wsp_receipt *receipt = NULL;
    wsp_pushed pushed = {9, 9, 9};
    wsp_event events[8];
    size_t count, members = 7;

    wsp_config_set(config, "listen", "127.0.0.1:0");
    wsp_config_set(config, "shards", "1");
    expect(wsp_server_start_hosted(config, &server), WSP_STATUS_OK, "starting");
    wsp_config_free(config);
    expect(wsp_server_push_all(server, 0, WSP_MESSAGE_TEXT, NULL, 0, &receipt), WSP_STATUS_OK,
           "to all");
    expect(wsp_receipt_wait(receipt, 1, &pushed), WSP_STATUS_TIMED_OUT, "nobody drives");
    if (pushed.delivered != 9)
        failures++, puts("a wait in vain wrote its output");
    expect(wsp_server_room_members(server, "red", 1, &members), WSP_STATUS_TIMED_OUT, "members");
    expect(wsp_server_poll(server, 0, events, 8, 0, &count), WSP_STATUS_OK, "a turn");
    expect_counts(receipt, 0, 0, "after a turn");
    expect(wsp_server_room_members(server, "red", PATIENCE, &members), WSP_STATUS_WRONG_THREAD,
           "members, for the driver");
    if (members != 7)
        failures++, puts("members in vain wrote its output");
    wsp_server_free(server);
}

int main(void) {
    managed();
    hosted();
    return failures != 0;
}
