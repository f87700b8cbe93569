/*
 * wspoll: a WebSocket server that runs inside your program. https://docs.rs/wspoll
 *
 *     static void echo(wsp_server *server, const wsp_event *event, void *user) {
 *         (void)user;
 *         if (event->flags & WSP_EVENT_FLAG_TEXT)
 *             wsp_server_send_text(server, event->conn, event->data, event->len);
 *         else
 *             wsp_server_send_binary(server, event->conn, event->data, event->len);
 *     }
 *
 *     wsp_callbacks callbacks = {.size = sizeof callbacks, .on_message = echo};
 *     wsp_server *server;
 *     if (wsp_server_start(NULL, &callbacks, &server) != WSP_STATUS_OK)
 *         fprintf(stderr, "%s\n", wsp_last_error_message());
 *
 * MODEL. Every connection belongs to one of the server's shards, an event loop over its own sockets. In *managed* mode
 * (wsp_server_start) each shard has a thread of the library's, which calls your callbacks. In *hosted* mode
 * (wsp_server_start_hosted) your threads drive the shards, each by calling wsp_server_poll, which returns what happened
 * as a batch. Both have the same events, wsp_event, and the same calls, wsp_server_*. A connection is known by its
 * wsp_conn_id: a number that is never used again, so one kept too long meets WSP_STATUS_GONE and nobody else.
 *
 * CLIENTS. A wsp_client is the other end: a connection to a server, kept alive, and made anew when it is lost if that is
 * wanted. It has no callbacks: wsp_client_recv waits for its events, wsp_client_group_wait for those of many clients.
 *
 * THREADS. Calls upon a server may be made from any thread and from inside callbacks; none of them blocks but
 * wsp_server_poll, wsp_server_room_members, wsp_server_stop and wsp_server_free, and wsp_receipt_wait. Where something
 * is allowed on certain threads only, its comment says so. A wsp_config, a wsp_response and a wsp_stream belong to one
 * thread at a time. Calls for one connection are carried out in the order in which one thread makes them.
 *
 * OWNERSHIP. What a _new or _start function gives is yours until you give it to the _free function; _free(NULL) does
 * nothing. What a callback or a batch gives is the library's and valid as long as the comment says. What you pass in is
 * copied before the call returns unless its comment says otherwise.
 *
 * BYTES AND STRINGS. Payloads are a pointer and a length, NULL only with length 0, and need no NUL. Names, addresses and
 * other strings (const char *) end with a NUL and are UTF-8.
 *
 * ERRORS. A function that can fail returns a wsp_status, 0 for success, and has changed nothing if it fails;
 * wsp_last_error_message tells the reason in words, for each thread its own. Outputs are written only on success. A
 * connection that ends, however it ends, is an event and no error. Nothing is ever printed (see wsp_log_set), no signal
 * handler is set, and no write raises SIGPIPE. The limit of open files is raised to what the system allows.
 *
 * PRESSURE. Every queue is bounded: a connection's outbox, a shard's mailbox for calls from other threads. When one is
 * full, a call returns WSP_STATUS_BACKPRESSURE at once, and a message that was taken and cannot be kept is reported by
 * WSP_EVENT_DROPPED. A peer that sends faster than it reads is read no further.
 *
 * FORK. Threads and the system's queues do not survive a fork. A child of a process with a running server must make no
 * call upon it, not even wsp_server_free, and should exec or _exit; sockets are closed by exec. Fork before you start.
 *
 * ABI. Within one major version of WSP_ABI_VERSION nothing that is here changes: no number, no layout, no meaning. New
 * functions, constants and kinds of events may come; structs whose first field is their size may grow at their end.
 * WSP_CHECK_ABI() compares the library that is loaded with this header.
 */
#ifndef WSPOLL_H
#define WSPOLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* -----------------------------------------------------------------------------------------------
 * Handles: what they stand for is the library's business.
 * ----------------------------------------------------------------------------------------------- */

/**
 * A client: one connection at a time to a server, kept alive, and made anew where its configuration
 * says so.
 *
 * Its events are received by `wsp_client_recv`; there are no callbacks. What is behind all clients
 * of a process runs on one thread of the library's, which starts with the first client and stays.
 *
 * Every function may be called from any thread at any time, but `wsp_client_recv` by one thread at
 * a time, because it ends the life of the last event.
 */
typedef struct wsp_client wsp_client;

/**
 * Settings of a client, all with defaults that are meant for use. Belongs to one thread at a time;
 * a client copies what it needs, so one configuration may start many and be freed at once.
 *
 * The values are checked by `wsp_client_config_check` and when a client starts. Times are
 * milliseconds, sizes bytes; 0 means *no limit* or *never* where a setter does not say otherwise.
 */
typedef struct wsp_client_config wsp_client_config;

/**
 * Tells of which clients something has changed, so that one thread can serve many. Each client that
 * was told of it (`wsp_client_config_set_group`) waits in it at most once.
 *
 * May be used from any thread; `wsp_client_group_wait` by one at a time.
 */
typedef struct wsp_client_group wsp_client_group;

/**
 * Settings of a server, all with defaults that are meant for use. Belongs to one thread at a time;
 * a server copies what it needs, so one configuration may start many and be freed at once.
 *
 * A setter checks what it can alone; the values are checked against each other by
 * `wsp_config_check` and when a server starts. Times are milliseconds, sizes bytes; 0 means *no
 * limit* or *never* where a setter does not say otherwise.
 */
typedef struct wsp_config wsp_config;

/**
 * A readiness queue of the system. Sockets are added, modified and removed from any thread, also
 * while another thread waits; one thread at a time waits.
 */
typedef struct wsp_poller wsp_poller;

/** The answer to a push that is counted. May be waited for by several threads at once. */
typedef struct wsp_receipt wsp_receipt;

/**
 * A request. Belongs to the library; valid until the callback that was given it returns, in hosted
 * mode until the shard's next turn. May be read by any thread as long as it is valid.
 *
 * Strings are NUL-terminated, belong to the request and are as they came (neither decoded nor
 * checked to be UTF-8).
 */
typedef struct wsp_request wsp_request;

/**
 * A response to a request. With status 101 it accepts an upgrade, and may choose a subprotocol and
 * the connection's user pointer; with 200 to 599 it rejects it, or answers a plain request, and may
 * have a body. Both may have headers.
 *
 * Belongs to one thread at a time. One that a callback is given is the library's; one from
 * `wsp_response_new` is the caller's, and may be used for many answers.
 */
typedef struct wsp_response wsp_response;

/**
 * A running server. Any thread may use it, as long as it holds a reference: the one that
 * `wsp_server_start` returned, or one more of its own from `wsp_server_retain`.
 */
typedef struct wsp_server wsp_server;

/**
 * A message under way to one connection. Belongs to one thread at a time, and holds a reference to
 * its server.
 */
typedef struct wsp_stream wsp_stream;


/* -----------------------------------------------------------------------------------------------
 * Status: what every call that can fail returns.
 * ----------------------------------------------------------------------------------------------- */

/**
 * How a call went: 0 is success. Numbers are never used again for something else; a later minor
 * version may add some.
 */
typedef int32_t wsp_status;

/** Done. */
#define WSP_STATUS_OK 0
/** An argument has a value that it cannot have. Nothing was done. */
#define WSP_STATUS_INVALID_ARGUMENT 1
/** A setting has a value that it cannot have. The message names both. */
#define WSP_STATUS_INVALID_SETTING 2
/** No open connection has this id: it has ended, or there never was one. */
#define WSP_STATUS_GONE 3
/** A bounded queue is full. Nothing was queued; try again later, or drop the message. */
#define WSP_STATUS_BACKPRESSURE 4
/** The server is draining or has stopped, and takes nothing more. */
#define WSP_STATUS_SHUT_DOWN 5
/** The operating system refused. The message tells what, and why. */
#define WSP_STATUS_IO 6
/** A bug in the library; the message is worth reporting. The server goes on where it can. */
#define WSP_STATUS_PANIC 7
/** This system, or this build, cannot do it. */
#define WSP_STATUS_UNSUPPORTED 8
/** Only the thread that drives the shard may make this call. */
#define WSP_STATUS_WRONG_THREAD 9
/** It took longer than it may, or than the caller wanted to wait. Nothing was done. */
#define WSP_STATUS_TIMED_OUT 10
/**
 * A server refused a client's handshake. The message tells its HTTP status and the first line of
 * its answer.
 */
#define WSP_STATUS_REFUSED 11
/**
 * A server's answer to a client's handshake is not one of RFC 6455. The message tells what is wrong
 * with it.
 */
#define WSP_STATUS_BAD_HANDSHAKE 12

/**
 * The name of a status, such as `"WSP_STATUS_GONE"`; `"WSP_STATUS_?"` for a number that is none.
 * Static.
 */
const char *wsp_status_name(wsp_status status);

/**
 * Why the last call that failed on this thread failed, for a person to read; empty if none has.
 * Never null.
 *
 * Belongs to the library and is valid until the next call of this function on this thread, or the
 * thread's end.
 */
const char *wsp_last_error_message(void);


/* -----------------------------------------------------------------------------------------------
 * Version.
 * ----------------------------------------------------------------------------------------------- */

/**
 * Version of the ABI that this header describes: major in the upper half, minor in the lower.
 *
 * A new minor version adds functions, constants and fields at the end of size-prefixed structs. A
 * new major version may break what exists; it comes with a new soname.
 */
#define WSP_ABI_VERSION 65536

/** The library's version, such as `"0.1.0"`. Static. */
const char *wsp_version(void);

/** The ABI version of the library that is loaded. See `WSP_ABI_VERSION`. */
uint32_t wsp_abi_version(void);

/**
 * Checks that the library that is loaded serves a program that was compiled with the header of
 * `header_version`: the major version is the same and the minor version is not older.
 * `WSP_CHECK_ABI()` calls it.
 *
 * Errors:
 * - `WSP_STATUS_UNSUPPORTED`: it does not; the message tells both versions.
 */
wsp_status wsp_abi_check(uint32_t header_version);

/** The version of the library that this header came with. */
#define WSP_VERSION "0.1.0"
/** Checks that the library that is loaded serves a program compiled with this header: wsp_abi_check. */
#define WSP_CHECK_ABI() wsp_abi_check(WSP_ABI_VERSION)

/* -----------------------------------------------------------------------------------------------
 * Log: where the library tells what it does. It never prints.
 * ----------------------------------------------------------------------------------------------- */

/** How much a log record matters. */
typedef uint32_t wsp_log_level;

/** Nothing. */
#define WSP_LOG_LEVEL_OFF 0
/** Something is lost that the program may count on. */
#define WSP_LOG_LEVEL_ERROR 1
/** Something went wrong and is dealt with. */
#define WSP_LOG_LEVEL_WARN 2
/** Something that happens once or rarely. */
#define WSP_LOG_LEVEL_INFO 3
/** Something that a peer brings about. */
#define WSP_LOG_LEVEL_DEBUG 4
/** Everything. */
#define WSP_LOG_LEVEL_TRACE 5

/**
 * Receives log records. Runs on whichever thread has something to say, on several at once; must not
 * block for long and must not call `wsp_log_set`. What the library logs because of calls made
 * inside is dropped.
 *
 * `target` names the part of the library; `message` is one line of UTF-8. Both are valid until the
 * callback returns.
 */
typedef void (*wsp_log_fn)(wsp_log_level level,
                           const char *target,
                           const char *message,
                           void *user);

/**
 * Sends log records up to level `most` to `log`, for the whole process; null switches logging off.
 *
 * When this returns, the callback that was set before is no longer running and will not be called
 * again. May be called from any thread but not inside a log callback.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `most` is not a `WSP_LOG_LEVEL_*`.
 * - `WSP_STATUS_UNSUPPORTED`: the process is a Rust program with a logger of its own, or this is a
 *   log callback.
 *
 * The caller sees to it that:
 * - `log` may be called from any thread with `user`, until another one is set.
 */
wsp_status wsp_log_set(wsp_log_fn log,
                       void *user,
                       wsp_log_level most);


/* -----------------------------------------------------------------------------------------------
 * Configuration: what a server is told before it starts.
 * ----------------------------------------------------------------------------------------------- */

/**
 * What happens to a message from another thread, a room or a broadcast for which a connection's
 * outbox has no room.
 */
typedef uint32_t wsp_slow_consumer;

/** The connection is closed with 1008; what it had not read is dropped. */
#define WSP_SLOW_CONSUMER_CLOSE 0
/** The new message is dropped. */
#define WSP_SLOW_CONSUMER_DROP_NEW 1
/** The oldest whole messages that are not on the wire yet make room. */
#define WSP_SLOW_CONSUMER_DROP_OLD 2

/** Makes a configuration of defaults. `wsp_config_free` frees it. */
wsp_config *wsp_config_new(void);

/**
 * Frees a configuration. Null is ignored.
 *
 * The caller sees to it that:
 * - `config` is null, or came from `wsp_config_new` and is not used again.
 */
void wsp_config_free(wsp_config *config);

/**
 * Sets any setting by its name and as text, so that a host can pass its own configuration through:
 * `"listen"` to `"0.0.0.0:8000,[::1]:8000"`, `"max_message_size"` to `"1MiB"`, `"ping_interval"` to
 * `"30s"`. Dashes in names are as good as underscores.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_SETTING`: there is no such setting or it cannot have this value; the
 *   message names both.
 * - `WSP_STATUS_INVALID_ARGUMENT`: an argument is null or not UTF-8.
 *
 * The caller sees to it that:
 * - `config` is null, or came from `wsp_config_new` and is not used by another thread.
 * - `name` and `value` are null or end with a NUL.
 */
wsp_status wsp_config_set(wsp_config *config,
                          const char *name,
                          const char *value);

/**
 * Checks every setting by itself and against the others, as the start of a server does.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_SETTING`: the message names the first wrong setting, its value and what is
 *   wrong with it.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `config` is null.
 *
 * The caller sees to it that:
 * - `config` is null, or came from `wsp_config_new` and is not changed by another thread.
 */
wsp_status wsp_config_check(const wsp_config *config);

/**
 * Event loops, each on a thread of its own; 0, the default, means one for each core.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_shards(wsp_config *config, uint32_t shards);

/**
 * Connections that the kernel completes before they are accepted. Default: 4096.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_backlog(wsp_config *config, uint32_t connections);

/**
 * Largest message taken, fragments added up; a larger one closes with 1009. Default: 64 KiB. 0
 * takes empty messages only.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_max_message_size(wsp_config *config,
                                           size_t bytes);

/**
 * Hands over messages that do not come in one piece as `WSP_EVENT_FRAGMENT`s, as they come, instead
 * of putting them together. Default: false.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_stream_fragments(wsp_config *config,
                                           bool on);

/**
 * Whose pages may connect: `"same"` (the default; those of the host that the request names),
 * `"any"`, or a list such as `"https://example.com,*.example.org"`. Programs that are no browsers
 * send no origin and pass.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_SETTING`: it is none of these.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`; `origin` is null or ends with a NUL.
 */
wsp_status wsp_config_set_origin(wsp_config *config,
                                 const char *origin);

/**
 * Speaks one more subprotocol, after those that were added before. Without an answer of the host's,
 * the first of these that the client offers is chosen.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_SETTING`: the name is not a token (RFC 9110).
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`; `name` is null or ends with a NUL.
 */
wsp_status wsp_config_add_subprotocol(wsp_config *config,
                                      const char *name);

/**
 * Largest request head; a larger one is answered with 431. Default: 8 KiB; 128 to 65536.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_max_handshake_bytes(wsp_config *config, size_t bytes);

/**
 * From accept to the end of the handshake, a deferred answer included; then 408. Default: 10 s.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_handshake_timeout_ms(wsp_config *config, uint32_t ms);

/**
 * A ping is sent when nothing came from the peer for this long. Default: 54 s.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_ping_interval_ms(wsp_config *config, uint32_t ms);

/**
 * A peer of which nothing came for this long, pongs included, is dead. Longer than the ping
 * interval. Default: 60 s.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_pong_timeout_ms(wsp_config *config,
                                          uint32_t ms);

/**
 * A connection without a message either way for this long is closed with 1001. Default: 0, never.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_idle_timeout_ms(wsp_config *config, uint32_t ms);

/**
 * A peer that takes no byte of what waits for it for this long is cut off. Default: 10 s.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_write_timeout_ms(wsp_config *config, uint32_t ms);

/**
 * How long a peer has to answer a close frame, and then to close its side. Default: 5 s; not 0.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_close_timeout_ms(wsp_config *config, uint32_t ms);

/**
 * Connections at a time; more are answered with 503. Default: 0, no limit.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_max_connections(wsp_config *config, size_t connections);

/**
 * Connections at a time from one IP address; more are answered with 429. Default: 0, no limit.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_max_connections_per_ip(wsp_config *config, size_t connections);

/**
 * Bytes that may wait for one connection. Beyond it reading from that peer pauses, and messages
 * from elsewhere follow `wsp_config_set_slow_consumer`. Default: 1 MiB.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_max_outbox_bytes(wsp_config *config,
                                           size_t bytes);

/**
 * What happens to a message for which an outbox has no room. Default: `WSP_SLOW_CONSUMER_CLOSE`.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `policy` is not a `WSP_SLOW_CONSUMER_*`.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_slow_consumer(wsp_config *config, wsp_slow_consumer policy);

/**
 * Gives pushes to a room a policy of their own from the start; `wsp_server_set_room_policy` does so
 * later. Up to 1,024 rooms can have one.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `room` is null or not UTF-8, or `policy` is not a
 *   `WSP_SLOW_CONSUMER_*`.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`; `room` is null or ends with a NUL.
 */
wsp_status wsp_config_add_room_policy(wsp_config *config,
                                      const char *room,
                                      wsp_slow_consumer policy);

/**
 * Messages to the same connection from other threads, rooms and broadcasts gather for up to this
 * time and leave in one system call; a reply or a control frame takes what has gathered with it, in
 * order. 0 means that they leave at once. Default: 0; at most a minute.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_push_merge_ms(wsp_config *config,
                                        uint32_t ms);

/**
 * What gathers for one connection leaves once it has as many bytes. Default: 16 KiB; at least 1.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_push_merge_bytes(wsp_config *config, size_t bytes);

/**
 * Rooms that one connection may be in; 0 means no limit. Default: 1024.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_max_rooms_per_connection(wsp_config *config, size_t most);

/**
 * Bytes of calls from other threads that may wait for one shard; beyond it they return
 * `WSP_STATUS_BACKPRESSURE`. Default: 64 MiB; at least 1024.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_max_mailbox_bytes(wsp_config *config,
                                            size_t bytes);

/**
 * How long the end of the server waits for what is queued, where `wsp_server_stop` is given
 * `WSP_DRAIN_TIMEOUT_DEFAULT`. Default: 10 s.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_drain_timeout_ms(wsp_config *config, uint32_t ms);

/**
 * In hosted mode: upgrades come as `WSP_EVENT_UPGRADE` and wait for `wsp_server_accept`,
 * `wsp_server_reject` or `wsp_server_respond`, instead of being accepted when they are valid.
 * Default: false. Managed mode asks `on_upgrade`.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_decide_upgrades(wsp_config *config,
                                          bool on);


/* -----------------------------------------------------------------------------------------------
 * Listening: where connections come from, and whom to believe about that.
 * ----------------------------------------------------------------------------------------------- */

/** The header of a request in which trusted proxies say where it comes from. */
typedef uint32_t wsp_forwarded_header;

/** In none. */
#define WSP_FORWARDED_HEADER_OFF 0
/** `X-Forwarded-For: CLIENT, PROXY`, which most proxies write. */
#define WSP_FORWARDED_HEADER_X_FORWARDED_FOR 1
/** `Forwarded: for=CLIENT, for=PROXY` (RFC 7239). */
#define WSP_FORWARDED_HEADER_FORWARDED 2

/**
 * Listens on one more address: `"127.0.0.1:8000"`, `"[::]:8000"`, `"unix:/run/wspoll.sock"`,
 * `"unix:@name"` (Linux), `"fd:3"` (a listening socket of this process; its descriptor is
 * duplicated and stays the caller's), `"systemd"` or `"systemd:name"` (what socket activation has
 * passed on). Port 0 takes a free one. The first call replaces the default, `127.0.0.1:8000`.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_SETTING`: it is none of these, or this system does not have it.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`; `address` is null or ends with a NUL.
 */
wsp_status wsp_config_add_listen(wsp_config *config,
                                 const char *address);

/**
 * Listens on nothing: connections come by `wsp_server_adopt` only.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `config` is null.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_clear_listen(wsp_config *config);

/**
 * `[::]` takes no IPv4 connections, so that `0.0.0.0` may be listened on beside it. Default: false.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_ipv6_only(wsp_config *config,
                                    bool on);

/**
 * Permissions of Unix sockets, such as 0660, the default: whoever may write may connect. At most
 * 0777.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_unix_mode(wsp_config *config,
                                    uint32_t mode);

/**
 * Believes one more proxy about where its connections come from: `"192.0.2.1"`, `"10.0.0.0/8"`, or
 * `"unix"` for whoever comes through a Unix socket. Its own address does not count against
 * `wsp_config_set_max_connections_per_ip`; those of its clients do.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_SETTING`: it is no address and no network.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`; `proxy` is null or ends with a NUL.
 */
wsp_status wsp_config_add_trusted_proxy(wsp_config *config,
                                        const char *proxy);

/**
 * Every connection begins with a PROXY protocol header, version 1 or 2, of a trusted proxy.
 * Connections from elsewhere are answered with 403, one without a valid header is cut. Default:
 * false. Needs `wsp_config_add_trusted_proxy`; does not concern `wsp_server_adopt`.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_proxy_protocol(wsp_config *config,
                                         bool on);

/**
 * In which header requests of trusted proxies name their clients. It is read from its end: the
 * first address there that is not trusted is the client's. Default: `WSP_FORWARDED_HEADER_OFF`.
 * Needs `wsp_config_add_trusted_proxy`.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `header` is not a `WSP_FORWARDED_HEADER_*`.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`.
 */
wsp_status wsp_config_set_forwarded_header(wsp_config *config,
                                           wsp_forwarded_header header);


/* -----------------------------------------------------------------------------------------------
 * The admin listener: pushes by HTTP, metrics and a dashboard, in libraries that are built with it.
 * ----------------------------------------------------------------------------------------------- */

/**
 * Where the server serves its admin listener, `"127.0.0.1:6060"`, or `"off"`, the default. Port 0
 * takes a free one. An address that other machines reach needs `wsp_config_set_admin_token`. The
 * library has it if it was built with the feature `admin`; if not, the start of a server with an
 * address is `WSP_STATUS_INVALID_SETTING`.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_SETTING`: it is none of these.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`; `address` is null or ends with a NUL.
 */
wsp_status wsp_config_set_admin(wsp_config *config,
                                const char *address);

/**
 * What requests to the admin listener must bear (`Authorization: Bearer TOKEN`); empty, the
 * default, for none. No error and no log shows it.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_SETTING`: it is longer than 1024 bytes, or not visible ASCII without
 *   spaces.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_config_set`; `token` is null or ends with a NUL.
 */
wsp_status wsp_config_set_admin_token(wsp_config *config,
                                      const char *token);

/**
 * The port of the admin listener, the one that the system chose where 0 was asked for; 0 if there
 * is none.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 */
uint16_t wsp_server_admin_port(const wsp_server *server);


/* -----------------------------------------------------------------------------------------------
 * Events: what happens to connections.
 * ----------------------------------------------------------------------------------------------- */

/**
 * The name of a connection: never 0, and not used again for another connection. The library has no
 * other handle for one; a call with the id of a connection that has ended returns
 * `WSP_STATUS_GONE`.
 */
typedef uint64_t wsp_conn_id;

/** Whether a message is text or binary. */
typedef uint32_t wsp_message_kind;

/** UTF-8 text. What comes is checked before it is handed over, what is sent when it is given. */
#define WSP_MESSAGE_TEXT 1
/** Bytes. */
#define WSP_MESSAGE_BINARY 2

/** What happened. A later minor version may add kinds: ignore those that you do not know. */
typedef uint32_t wsp_event_kind;

/**
 * A client asks for a connection (hosted mode with `wsp_config_set_decide_upgrades`); `request`
 * says what it said. Origin and handshake have been checked. Answer by `wsp_server_accept`,
 * `wsp_server_reject` or `wsp_server_respond`.
 */
#define WSP_EVENT_UPGRADE 1
/** The connection is open. Comes before every other event of it. */
#define WSP_EVENT_OPEN 2
/** A message came: `data`, `len`, and `WSP_EVENT_FLAG_TEXT` if it is text. */
#define WSP_EVENT_MESSAGE 3
/**
 * A piece of a message came (with `wsp_config_set_stream_fragments`). Pieces of a text message may
 * begin or end inside a character; all of them together are UTF-8.
 */
#define WSP_EVENT_FRAGMENT 4
/**
 * A pong came: `data` and `len` are the payload of the ping that it answers, if any. Pings are
 * answered without an event.
 */
#define WSP_EVENT_PONG 5
/**
 * The outbox, for whose fullness a message was refused or reading paused, is below half its bound
 * again.
 */
#define WSP_EVENT_DRAIN 6
/**
 * Messages that had been taken for the connection were dropped: `value` says how many, `cause` why.
 */
#define WSP_EVENT_DROPPED 7
/**
 * The connection has ended; the last event of it. `cause` and the codes say how, `data` and `len`
 * are the reason.
 */
#define WSP_EVENT_CLOSE 8
/** Message or fragment: it is text, otherwise binary. */
#define WSP_EVENT_FLAG_TEXT 1
/** Fragment: the first of its message. A message has this flag too. */
#define WSP_EVENT_FLAG_FIRST 2
/** Fragment: the last of its message. A message has this flag too. */
#define WSP_EVENT_FLAG_LAST 4
/** Close: both sides sent a close frame. */
#define WSP_EVENT_FLAG_CLEAN 8
/** Close: something that this header does not know. */
#define WSP_CLOSE_CAUSE_OTHER 0
/** Close: the peer closed. */
#define WSP_CLOSE_CAUSE_PEER 1
/** Close: the host closed. */
#define WSP_CLOSE_CAUSE_HOST 2
/** Close: the peer broke the protocol; `sent_code` and the reason say how. */
#define WSP_CLOSE_CAUSE_VIOLATION 3
/** Close: the peer took too little of what was pushed to it. */
#define WSP_CLOSE_CAUSE_SLOW_CONSUMER 4
/** Close: a bug in the library. */
#define WSP_CLOSE_CAUSE_PANIC 5
/** Close: the server is shutting down. */
#define WSP_CLOSE_CAUSE_SHUT_DOWN 6
/** Close: nothing came from the peer for the pong timeout. */
#define WSP_CLOSE_CAUSE_PONG_TIMEOUT 7
/** Close: no message went either way for the idle timeout. */
#define WSP_CLOSE_CAUSE_IDLE_TIMEOUT 8
/** Close: the peer took nothing for the write timeout. */
#define WSP_CLOSE_CAUSE_WRITE_TIMEOUT 9
/** Close: the peer did not answer our close frame in time. */
#define WSP_CLOSE_CAUSE_CLOSE_TIMEOUT 10
/** Close: the stream ended without a close frame. */
#define WSP_CLOSE_CAUSE_END_OF_STREAM 11
/** Close: the stream failed. */
#define WSP_CLOSE_CAUSE_LOST 12
/** Dropped: for a reason that this header does not know. */
#define WSP_DROP_REASON_OTHER 0
/** Dropped: the outbox was full, the policy is to drop the new message. */
#define WSP_DROP_REASON_NEW_REFUSED 1
/** Dropped: the outbox was full, the policy is to drop the oldest messages. */
#define WSP_DROP_REASON_OLD_REPLACED 2
/** Dropped: the outbox was full, the policy is to close the connection. */
#define WSP_DROP_REASON_SLOW_CONSUMER 3
/** Dropped: the connection ended after the call that sent the message. */
#define WSP_DROP_REASON_GONE 4

/**
 * Something that happened to a connection: what callbacks are given, and what batches are made of.
 *
 * `data` and `request` are the library's and valid until the callback returns, or in hosted mode
 * until the shard's next turn (see `wsp_server_poll`). Its size and layout are part of the ABI and
 * do not change within a major version.
 */
typedef struct wsp_event {
    /** A `WSP_EVENT_*`. */
    wsp_event_kind kind;
    /** `WSP_EVENT_FLAG_*`, or-ed. */
    uint32_t flags;
    /** The connection. */
    wsp_conn_id conn;
    /** The connection's user pointer, null unless the host has set one. */
    void *conn_user;
    /**
     * Message, fragment, pong: the payload. Close: the reason, UTF-8 without a NUL. Null where
     * `len` is 0.
     */
    const uint8_t *data;
    /** How many bytes `data` has. */
    size_t len;
    /** Dropped: how many messages. Otherwise 0. */
    uint64_t value;
    /** Upgrade: the request. Otherwise null. */
    const wsp_request *request;
    /** Close: a `WSP_CLOSE_CAUSE_*`. Dropped: a `WSP_DROP_REASON_*`. Otherwise 0. */
    uint16_t cause;
    /**
     * Close: the connection's close code as RFC 6455 has it: that of the peer's close frame, 1005
     * if that had none, 1006 if none came. Otherwise 0.
     */
    uint16_t code;
    /** Close: the code of the close frame that was sent to the peer, 0 if there was none. */
    uint16_t sent_code;
    /** Close: the code of the close frame that the peer sent, 0 if there was none. */
    uint16_t received_code;
} wsp_event;


/* -----------------------------------------------------------------------------------------------
 * Requests: what a client asks for before it is connected.
 * ----------------------------------------------------------------------------------------------- */

/**
 * The method: `"GET"` for every upgrade. Null if `request` is.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
const char *wsp_request_method(const wsp_request *request);

/**
 * The target's path, as sent (not percent-decoded); never empty.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
const char *wsp_request_path(const wsp_request *request);

/**
 * The target's query without its `?`, as sent; null if there is none.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
const char *wsp_request_query(const wsp_request *request);

/**
 * Host and port that the request was made to; null if it does not say.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
const char *wsp_request_host(const wsp_request *request);

/**
 * The origin of the page that asks; null where no browser does.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
const char *wsp_request_origin(const wsp_request *request);

/**
 * The value of the first header of this name, in any case; null if there is none.
 *
 * The caller sees to it that:
 * - `request` is null or still valid; `name` is null or ends with a NUL.
 */
const char *wsp_request_header(const wsp_request *request, const char *name);

/**
 * How many headers there are.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
size_t wsp_request_header_count(const wsp_request *request);

/**
 * The name of a header, counted from 0 in the order in which they came; null beyond the last.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
const char *wsp_request_header_name(const wsp_request *request, size_t index);

/**
 * The value of a header, counted as by `wsp_request_header_name`; null beyond the last.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
const char *wsp_request_header_value(const wsp_request *request, size_t index);

/**
 * How many subprotocols the client offers.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
size_t wsp_request_subprotocol_count(const wsp_request *request);

/**
 * A subprotocol that the client offers, counted from 0, most wanted first; null beyond the last.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
const char *wsp_request_subprotocol(const wsp_request *request, size_t index);

/**
 * The IP address of the client, as text: that at the other end of the connection, or the one that a
 * trusted proxy names (`wsp_config_add_trusted_proxy`). Empty for a Unix socket.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
const char *wsp_request_peer_ip(const wsp_request *request);

/**
 * The client's port; 0 for a Unix socket, and where a proxy does not tell it.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
uint16_t wsp_request_peer_port(const wsp_request *request);

/**
 * The IP address at the other end of the socket, as text: the proxy's, if the request came through
 * one. Empty for a Unix socket.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
const char *wsp_request_socket_peer_ip(const wsp_request *request);

/**
 * The port at the other end of the socket; 0 for a Unix socket.
 *
 * The caller sees to it that:
 * - `request` is null or still valid.
 */
uint16_t wsp_request_socket_peer_port(const wsp_request *request);


/* -----------------------------------------------------------------------------------------------
 * Responses: what a client is told before it is connected, or instead.
 * ----------------------------------------------------------------------------------------------- */

/**
 * Makes a response, for an answer that was deferred. `wsp_response_free` frees it. Null if `status`
 * is neither 101 nor 200 to 599.
 */
wsp_response *wsp_response_new(uint16_t status);

/**
 * Frees a response. Null is ignored.
 *
 * The caller sees to it that:
 * - `response` is null, or came from `wsp_response_new` and is not used again. One that a callback
 *   was given is not to be freed.
 */
void wsp_response_free(wsp_response *response);

/**
 * Sets the status.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: it is neither 101 nor 200 to 599, or `response` is null.
 *
 * The caller sees to it that:
 * - `response` is null or valid and this thread's.
 */
wsp_status wsp_response_set_status(wsp_response *response, uint16_t status);

/**
 * Adds a header, such as `Set-Cookie`.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: name or value cannot be sent, or the header is the server's own
 *   business (`Connection`, `Content-Length`, `Sec-WebSocket-*` …).
 *
 * The caller sees to it that:
 * - `response` is null or valid and this thread's; `name` and `value` are null or end with a NUL.
 */
wsp_status wsp_response_add_header(wsp_response *response,
                                   const char *name,
                                   const char *value);

/**
 * Sets the body of a response other than 101. The bytes are copied.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `response` is null, or `data` is null with `len > 0`.
 *
 * The caller sees to it that:
 * - `response` is null or valid and this thread's; `data` is readable for `len` bytes.
 */
wsp_status wsp_response_set_body(wsp_response *response,
                                 const uint8_t *data,
                                 size_t len);

/**
 * Chooses a subprotocol. The client must have offered it (`wsp_request_subprotocol`); if it has
 * not, the upgrade fails with 500 and is logged, since a client has to drop such a connection.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `response` or `name` is null or the name is not UTF-8.
 *
 * The caller sees to it that:
 * - `response` is null or valid and this thread's; `name` is null or ends with a NUL.
 */
wsp_status wsp_response_set_subprotocol(wsp_response *response,
                                        const char *name);

/**
 * Sets the user pointer of the connection that opens: every event of it carries it. The library
 * never follows it.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `response` is null.
 *
 * The caller sees to it that:
 * - `response` is null or valid and this thread's.
 */
wsp_status wsp_response_set_conn_user(wsp_response *response,
                                      void *conn_user);

/**
 * Leaves an upgrade undecided, in `on_upgrade` only: `wsp_server_accept`, `wsp_server_reject` or
 * `wsp_server_respond` answer it later, from any thread, until the handshake timeout does.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `response` is null.
 *
 * The caller sees to it that:
 * - `response` is null or valid and this thread's.
 */
wsp_status wsp_response_defer(wsp_response *response);


/* -----------------------------------------------------------------------------------------------
 * Callbacks: managed mode, in which the library's threads call the host.
 * ----------------------------------------------------------------------------------------------- */

/**
 * Is told of an event, on the thread of the connection's shard. `server` is the one that
 * `wsp_server_start` returns, perhaps before it has returned; it is not retained for the callee.
 *
 * Calls for one connection, and for all connections of one shard, come one after the other; those
 * for different shards come at once. Must not block: every connection of the shard waits. Must not
 * leave by `longjmp` or an exception. Every `wsp_server_` call is allowed inside, and none of them
 * makes another callback run before this one has returned.
 */
typedef void (*wsp_event_fn)(wsp_server *server,
                             const wsp_event *event,
                             void *user);

/**
 * Is called first, or last, on the thread of a shard. While the first runs, the server is still
 * starting, and calls upon it return `WSP_STATUS_SHUT_DOWN`.
 */
typedef void (*wsp_thread_fn)(wsp_server *server, uint32_t shard, void *user);

/**
 * Decides about an upgrade, on the thread of the connection's shard; the same rules as for
 * `wsp_event_fn` hold. Origin and handshake have been checked. `response` accepts (status 101)
 * unless it is changed: reject by another status, or `wsp_response_defer`. `request` and `response`
 * are valid until the callback returns, `conn` is the connection to be.
 */
typedef void (*wsp_upgrade_fn)(wsp_server *server,
                               wsp_conn_id conn,
                               const wsp_request *request,
                               wsp_response *response,
                               void *user);

/**
 * Answers a request that is no upgrade, on the thread of a shard; the same rules as for
 * `wsp_event_fn` hold. `response` is 426 unless it is changed.
 */
typedef void (*wsp_request_fn)(wsp_server *server,
                               const wsp_request *request,
                               wsp_response *response,
                               void *user);

/**
 * What a host wants to be told of. Set `size` to `sizeof(wsp_callbacks)` and every other field to a
 * function or null; null means that the event does not interest. The library copies the table.
 */
typedef struct wsp_callbacks {
    /** `sizeof(wsp_callbacks)`: how much of the table the host knows. */
    size_t size;
    /** Is given to every callback; the library never follows it. */
    void *user;
    /** First on the thread of each shard. */
    wsp_thread_fn on_thread_start;
    /** Last on the thread of each shard, after the last event. */
    wsp_thread_fn on_thread_stop;
    /** A client asks for a connection. Without this callback valid upgrades are accepted. */
    wsp_upgrade_fn on_upgrade;
    /** A client asks for something else. Without this callback it gets 426. */
    wsp_request_fn on_request;
    /** `WSP_EVENT_OPEN` */
    wsp_event_fn on_open;
    /** `WSP_EVENT_MESSAGE` */
    wsp_event_fn on_message;
    /** `WSP_EVENT_FRAGMENT` */
    wsp_event_fn on_fragment;
    /** `WSP_EVENT_PONG` */
    wsp_event_fn on_pong;
    /** `WSP_EVENT_DRAIN` */
    wsp_event_fn on_drain;
    /** `WSP_EVENT_DROPPED` */
    wsp_event_fn on_dropped;
    /** `WSP_EVENT_CLOSE`; calls that name the connection return `WSP_STATUS_GONE` by now. */
    wsp_event_fn on_close;
} wsp_callbacks;


/* -----------------------------------------------------------------------------------------------
 * Server: from its start to its end.
 * ----------------------------------------------------------------------------------------------- */

/** For `wsp_server_stop` and `wsp_server_drain`: what the configuration says. */
#define WSP_DRAIN_TIMEOUT_DEFAULT 4294967295

/**
 * Starts a server on threads of its own, one for each shard and one that accepts, which call
 * `callbacks`.
 *
 * `config` and `callbacks` are copied; a null `config` means all defaults. On success `*server` is
 * a reference that `wsp_server_free` gives back. Callbacks may run before this returns.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_SETTING`: a setting cannot have its value, or two contradict each other.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `callbacks` or `server` is null, or the table's size is wrong.
 * - `WSP_STATUS_IO`: an address cannot be listened on, or the system refuses a poller or a thread.
 *
 * The caller sees to it that:
 * - `config` is null, or came from `wsp_config_new` and is not changed meanwhile.
 * - `callbacks` is null or readable for `callbacks->size` bytes. Its functions may be called from
 *   any thread with its `user`, until the server has stopped.
 * - `server` is null or writable.
 */
wsp_status wsp_server_start(const wsp_config *config,
                            const wsp_callbacks *callbacks,
                            wsp_server **server);

/**
 * Starts a server whose shards the host drives by `wsp_server_poll`. Only accepting has a thread of
 * the library's.
 *
 * Errors:
 * - As `wsp_server_start`.
 *
 * The caller sees to it that:
 * - `config` is null, or came from `wsp_config_new` and is not changed meanwhile.
 * - `server` is null or writable.
 */
wsp_status wsp_server_start_hosted(const wsp_config *config,
                                   wsp_server **server);

/**
 * Takes one more reference, which needs a `wsp_server_free` of its own, and returns `server`. A
 * thread that calls a server while another may free it holds a reference.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 */
wsp_server *wsp_server_retain(wsp_server *server);

/**
 * Gives a reference back. Null is ignored. With the last one the server ends: connections that are
 * left are cut, and when this returns no callback is running any more, except one that this is
 * called from.
 *
 * In hosted mode no thread may be inside a call upon the server; the shards and their last events
 * are gone.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference and does not use it again.
 */
void wsp_server_free(wsp_server *server);

/**
 * Ends the server: nothing more is accepted, every connection is closed with 1001 behind what waits
 * for it, and what has not gone after `drain_timeout_ms` is cut. The server is still to be freed;
 * calls upon it return `WSP_STATUS_SHUT_DOWN`.
 *
 * Managed mode: returns when the library's threads have ended; inside a callback it does not wait
 * for the callback's own thread. Hosted mode: returns at once; each shard is to be polled until
 * that returns `WSP_STATUS_SHUT_DOWN`. May be called from any thread, more than once.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 */
wsp_status wsp_server_stop(wsp_server *server,
                           uint32_t drain_timeout_ms);

/**
 * Begins to end the server as `wsp_server_stop` does, and does not wait.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 */
wsp_status wsp_server_drain(wsp_server *server, uint32_t drain_timeout_ms);

/**
 * How many shards the server has; 0 if `server` is null.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 */
uint32_t wsp_server_shards(const wsp_server *server);

/**
 * The port of the first IP address that is listened on, the one that the system chose where 0 was
 * asked for; 0 if there is none.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 */
uint16_t wsp_server_port(const wsp_server *server);

/**
 * Open connections, as of each shard's last turn.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 */
size_t wsp_server_connections(const wsp_server *server);

/**
 * Writes what is listened on, `"127.0.0.1:8000"` or `"unix:/path"`, to `text`, with a NUL. `index`
 * counts from 0 in the order of the configuration. 128 bytes are always enough.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: there is no such address, `capacity` is too small, or a pointer
 *   is null.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `text` is null or writable for `capacity` bytes.
 */
wsp_status wsp_server_local_addr(const wsp_server *server,
                                 uint32_t index,
                                 char *text,
                                 size_t capacity);


/* -----------------------------------------------------------------------------------------------
 * Hosted mode: the host's own threads drive the shards.
 * ----------------------------------------------------------------------------------------------- */

/** A file descriptor, or on Windows a `SOCKET`. */
typedef intptr_t wsp_fd;

/**
 * Drives a shard for one turn and takes what happened: sends what was queued since the last turn,
 * waits at most `timeout_ms` (negative: until something happens), reads, and writes up to
 * `capacity` events to `events` and their number to `*count`, which may be 0 (the time is over,
 * `wsp_server_wake`, a timer).
 *
 * If a turn brings more events than there is room for, the next calls return the rest at once,
 * without a turn. Payloads and requests of all of them are valid until the call that begins the
 * next turn, that is the first one after `*count` was below `capacity` or the rest was fetched. A
 * host that does not poll reads nothing: its peers' systems notice and stop sending.
 *
 * The first thread that polls a shard drives it, until it calls `wsp_server_release`; one thread
 * may drive several shards. What the driving thread sends to connections of its shards goes
 * straight to their outboxes, without a copy of larger payloads that lie in the shard's buffers,
 * and leaves with the next turn or `wsp_server_flush`.
 *
 * Errors:
 * - `WSP_STATUS_SHUT_DOWN`: the server was stopped, the shard's connections have gone and all
 *   events were handed out.
 * - `WSP_STATUS_WRONG_THREAD`: another thread drives the shard, or this is a log callback inside
 *   the poll.
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, `capacity` is 0, or there is no such shard.
 * - `WSP_STATUS_UNSUPPORTED`: the server was started by `wsp_server_start`.
 * - `WSP_STATUS_IO`: the system's readiness queue failed.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference.
 * - `events` is null or writable for `capacity` events; `count` is null or writable.
 */
wsp_status wsp_server_poll(wsp_server *server,
                           uint32_t shard,
                           wsp_event *events,
                           size_t capacity,
                           int32_t timeout_ms,
                           size_t *count);

/**
 * Sends what was queued since the shard's last turn, without waiting for the next.
 *
 * Errors:
 * - `WSP_STATUS_WRONG_THREAD`: this thread does not drive the shard.
 * - `WSP_STATUS_INVALID_ARGUMENT`, `WSP_STATUS_UNSUPPORTED`: as `wsp_server_poll`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference.
 */
wsp_status wsp_server_flush(wsp_server *server, uint32_t shard);

/**
 * Ends the wait of the shard's poll, or of its next one. May be called from any thread.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`, `WSP_STATUS_UNSUPPORTED`: as `wsp_server_poll`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference.
 */
wsp_status wsp_server_wake(wsp_server *server, uint32_t shard);

/**
 * Lets another thread drive the shard: the next one that polls it. Payloads of the last turn stay
 * valid until then.
 *
 * Errors:
 * - `WSP_STATUS_WRONG_THREAD`: this thread does not drive the shard.
 * - `WSP_STATUS_INVALID_ARGUMENT`, `WSP_STATUS_UNSUPPORTED`: as `wsp_server_poll`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference.
 */
wsp_status wsp_server_release(wsp_server *server,
                              uint32_t shard);

/**
 * The descriptor of the shard's readiness queue, for a host's own event loop: while it is readable
 * (level-triggered), `wsp_server_poll` with `timeout_ms` 0 has something to do. Poll too when
 * `wsp_server_shard_timeout` is over, and after calls that queue something, or flush. It belongs to
 * the server: watch it, nothing else.
 *
 * Makes the calling thread the shard's driver, as `wsp_server_poll` does.
 *
 * Errors:
 * - `WSP_STATUS_UNSUPPORTED`: this system has none (Windows), or the server was started by
 *   `wsp_server_start`.
 * - `WSP_STATUS_WRONG_THREAD`, `WSP_STATUS_INVALID_ARGUMENT`: as `wsp_server_poll`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference; `fd` is null or writable.
 */
wsp_status wsp_server_shard_fd(wsp_server *server,
                               uint32_t shard,
                               wsp_fd *fd);

/**
 * How long a host that waits on `wsp_server_shard_fd` may wait before it polls: milliseconds, 0 for
 * at once, -1 for ever. Ask before each wait. Makes the calling thread the shard's driver, as
 * `wsp_server_poll` does.
 *
 * Errors:
 * - `WSP_STATUS_WRONG_THREAD`, `WSP_STATUS_INVALID_ARGUMENT`, `WSP_STATUS_UNSUPPORTED`: as
 *   `wsp_server_poll`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference; `timeout_ms` is null or writable.
 */
wsp_status wsp_server_shard_timeout(wsp_server *server,
                                    uint32_t shard,
                                    int32_t *timeout_ms);


/* -----------------------------------------------------------------------------------------------
 * Sending, from any thread and inside callbacks.
 * ----------------------------------------------------------------------------------------------- */

/**
 * Queues a text message for one connection.
 *
 * Copies the payload, so `data` may be reused on return. Never blocks. May be called from any
 * thread, also inside a callback. On the thread that drives the connection's shard it goes straight
 * to the outbox and leaves when the callback returns or with the shard's next turn. From elsewhere
 * success means queued: if the connection is gone or its outbox full when its shard takes the
 * message, `WSP_EVENT_DROPPED` reports it.
 *
 * Errors:
 * - `WSP_STATUS_GONE`: no open connection has this id.
 * - `WSP_STATUS_BACKPRESSURE`: the outbox, or from elsewhere the shard's mailbox, is full; nothing
 *   was queued. `WSP_EVENT_DRAIN` tells when an outbox has room again.
 * - `WSP_STATUS_SHUT_DOWN`: the server takes no more messages.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null, `data` is null with `len > 0`, or the payload
 *   is not UTF-8.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `data` is readable for `len` bytes until the call returns.
 */
wsp_status wsp_server_send_text(wsp_server *server,
                                wsp_conn_id conn,
                                const uint8_t *data,
                                size_t len);

/**
 * Queues a binary message for one connection; otherwise like `wsp_server_send_text`.
 *
 * Errors:
 * - As `wsp_server_send_text`.
 *
 * The caller sees to it that:
 * - As `wsp_server_send_text`.
 */
wsp_status wsp_server_send_binary(wsp_server *server,
                                  wsp_conn_id conn,
                                  const uint8_t *data,
                                  size_t len);

/** Frees a payload that `wsp_server_send_owned` was given. */
typedef void (*wsp_free_fn)(void *data, void *free_user);

/**
 * Queues a message whose payload becomes the library's: it calls `free_data(data, free_user)`
 * exactly once, also when this fails, as soon as it no longer needs the payload: before the call
 * returns, or later and on another thread. Otherwise like `wsp_server_send_text`.
 *
 * Errors:
 * - As `wsp_server_send_text`; `WSP_STATUS_INVALID_ARGUMENT` also if `kind` is not a
 *   `WSP_MESSAGE_*` or `free_data` is null.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `data` is readable for `len` bytes until `free_data` is called, which may be from any thread.
 */
wsp_status wsp_server_send_owned(wsp_server *server,
                                 wsp_conn_id conn,
                                 wsp_message_kind kind,
                                 uint8_t *data,
                                 size_t len,
                                 wsp_free_fn free_data,
                                 void *free_user);

/** One message of `wsp_server_send_many`. */
typedef struct wsp_outgoing {
    /** For whom. */
    wsp_conn_id conn;
    /** The payload; null only with length 0. */
    const uint8_t *data;
    /** How many bytes it has. */
    size_t len;
    /** A `WSP_MESSAGE_*`. */
    wsp_message_kind kind;
    /** Is set: what `wsp_server_send_text` would have returned for this message alone. */
    wsp_status status;
} wsp_outgoing;

/**
 * Queues many messages in one call, each for a connection of its own choice, in their order. The
 * status of each is written to its `status`; `*sent`, unless `sent` is null, is how many were
 * queued.
 *
 * Each goes the way that it would go alone; those that take the mailbox of one shard take it
 * together, or not. A payload that several messages in a row share (the same `data` and `len`) is
 * encoded once there.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null, or `items` is null with `count > 0`. What is
 *   wrong with a single message is told by its own status, and the others are sent.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `items` is readable and writable for `count` messages, each of whose `data` is readable for
 *   `len` bytes.
 * - `sent` is null or writable.
 */
wsp_status wsp_server_send_many(wsp_server *server,
                                wsp_outgoing *items,
                                size_t count,
                                size_t *sent);

/**
 * Queues a message for everybody in a room, on all shards. A room without members takes it, and
 * nobody gets it.
 *
 * A member whose outbox is full meets `wsp_config_set_slow_consumer`. Otherwise like
 * `wsp_server_send_text`.
 *
 * Errors:
 * - `WSP_STATUS_BACKPRESSURE`: a shard's mailbox is full; nothing was queued for anybody.
 * - `WSP_STATUS_SHUT_DOWN`: the server takes no more messages.
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, the payload is text and not UTF-8, `kind` is
 *   not a `WSP_MESSAGE_*`, or the room's name is longer than 1024 bytes or not UTF-8.
 *
 * The caller sees to it that:
 * - As `wsp_server_send_text`; `room` is null or ends with a NUL.
 */
wsp_status wsp_server_publish(wsp_server *server,
                              const char *room,
                              wsp_message_kind kind,
                              const uint8_t *data,
                              size_t len);

/**
 * Queues a message for every open connection, on all shards; otherwise like `wsp_server_publish`.
 *
 * Errors:
 * - As `wsp_server_publish`.
 *
 * The caller sees to it that:
 * - As `wsp_server_send_text`.
 */
wsp_status wsp_server_broadcast(wsp_server *server,
                                wsp_message_kind kind,
                                const uint8_t *data,
                                size_t len);


/* -----------------------------------------------------------------------------------------------
 * Pushes that leave one out or are counted, and what is known of rooms.
 * ----------------------------------------------------------------------------------------------- */

/** How far a push came. */
typedef struct wsp_pushed {
    /** Connections whose outbox took the message. */
    uint64_t delivered;
    /**
     * Connections whose outbox was full: the policy for slow consumers refused them the message, or
     * closed them.
     */
    uint64_t dropped;
    /** Of a list of ids, those that no open connection has; of a room, 1 if it has no members. */
    uint64_t unknown;
} wsp_pushed;

/**
 * Queues a message for everybody in a room but `except`, most often the sender; 0 is nobody.
 * Otherwise like `wsp_server_publish`.
 *
 * With a `receipt` that is not null, it is counted how many outboxes take the message, and
 * `*receipt` is to be freed with `wsp_receipt_free`. A counted push always goes through the
 * mailboxes of the shards, so inside a callback it comes behind what is sent directly.
 *
 * Errors:
 * - As `wsp_server_publish`.
 *
 * The caller sees to it that:
 * - As `wsp_server_publish`; `receipt` is null or writable.
 */
wsp_status wsp_server_push_room(wsp_server *server,
                                const char *room,
                                wsp_conn_id except,
                                wsp_message_kind kind,
                                const uint8_t *data,
                                size_t len,
                                wsp_receipt **receipt);

/**
 * Queues a message for every open connection but `except`; otherwise like `wsp_server_push_room`.
 *
 * Errors:
 * - As `wsp_server_publish`.
 *
 * The caller sees to it that:
 * - As `wsp_server_send_text`; `receipt` is null or writable.
 */
wsp_status wsp_server_push_all(wsp_server *server,
                               wsp_conn_id except,
                               wsp_message_kind kind,
                               const uint8_t *data,
                               size_t len,
                               wsp_receipt **receipt);

/**
 * Queues one message for `count` connections; those that have ended are passed over. It is encoded
 * once and goes through the mailboxes of the shards, also inside a callback. Otherwise like
 * `wsp_server_push_room`.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `conns` is null with `count > 0`; and as `wsp_server_publish`.
 * - Otherwise as `wsp_server_publish`.
 *
 * The caller sees to it that:
 * - As `wsp_server_send_text`; `conns` is readable for `count` ids; `receipt` is null or writable.
 */
wsp_status wsp_server_push_conns(wsp_server *server,
                                 const wsp_conn_id *conns,
                                 size_t count,
                                 wsp_message_kind kind,
                                 const uint8_t *data,
                                 size_t len,
                                 wsp_receipt **receipt);

/**
 * Waits until every shard has taken the push, or has ended, for at most `timeout_ms`; 0 only looks.
 * May be called again, and from any thread; on a thread that drives a shard, only to look: it would
 * wait for itself.
 *
 * Errors:
 * - `WSP_STATUS_TIMED_OUT`: not every shard has answered yet.
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null.
 *
 * The caller sees to it that:
 * - `receipt` is null or came from a `wsp_server_push_*` and is not freed before this returns.
 * - `pushed` is null or writable.
 */
wsp_status wsp_receipt_wait(const wsp_receipt *receipt,
                            uint32_t timeout_ms,
                            wsp_pushed *pushed);

/**
 * Frees a receipt, whether it was waited for or not; the push goes its way. Null is ignored.
 *
 * The caller sees to it that:
 * - `receipt` is null, or came from a `wsp_server_push_*` and is not used again.
 */
void wsp_receipt_free(wsp_receipt *receipt);

/**
 * Counts the members of a room, on all shards. Blocks until each shard has answered or has ended,
 * for at most `timeout_ms`.
 *
 * Errors:
 * - `WSP_STATUS_TIMED_OUT`: not every shard has answered in time.
 * - `WSP_STATUS_WRONG_THREAD`: this thread drives a shard, and would wait for itself.
 * - Otherwise as `wsp_server_publish`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference; `room` is null or ends with a NUL; `members`
 *   is null or writable.
 */
wsp_status wsp_server_room_members(wsp_server *server,
                                   const char *room,
                                   uint32_t timeout_ms,
                                   size_t *members);

/**
 * Gives pushes to a room a policy of their own, for what this thread publishes there afterwards. Up
 * to 1,024 rooms can have one, with members or without. May be called from any thread.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `policy` is not a `WSP_SLOW_CONSUMER_*`, or 1,024 other rooms
 *   have one.
 * - Otherwise as `wsp_server_publish`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks; `room` is
 *   null or ends with a NUL.
 */
wsp_status wsp_server_set_room_policy(wsp_server *server,
                                      const char *room,
                                      wsp_slow_consumer policy);

/**
 * Takes a room's own policy away: that of the server holds again.
 *
 * Errors:
 * - As `wsp_server_publish`.
 *
 * The caller sees to it that:
 * - As `wsp_server_set_room_policy`.
 */
wsp_status wsp_server_clear_room_policy(wsp_server *server, const char *room);


/* -----------------------------------------------------------------------------------------------
 * Messages that are sent in pieces, as they become known.
 * ----------------------------------------------------------------------------------------------- */

/**
 * Begins a message to one connection. Other messages to the connection wait until it ends, one in
 * pieces is refused; control frames do not wait. `wsp_stream_end` or `wsp_stream_free` frees
 * `*stream`. May be called from any thread, also inside a callback.
 *
 * Errors:
 * - `WSP_STATUS_GONE`: no open connection has this id.
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or `kind` is not a `WSP_MESSAGE_*`.
 * - `WSP_STATUS_SHUT_DOWN`: the server is still starting.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks; `stream`
 *   is null or writable.
 */
wsp_status wsp_stream_begin(wsp_server *server,
                            wsp_conn_id conn,
                            wsp_message_kind kind,
                            wsp_stream **stream);

/**
 * Queues the next piece of the message. Pieces of a text may be cut anywhere, also inside a
 * character. One that was refused may be tried again.
 *
 * From another thread than the one that drives the shard, a piece for which the outbox has no room
 * costs the connection (1008), whatever `wsp_config_set_slow_consumer` says: a message cannot lack
 * a piece.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, a text is not UTF-8 with this piece, or
 *   another message is being sent in pieces to the connection.
 * - `WSP_STATUS_GONE`, `WSP_STATUS_BACKPRESSURE`, `WSP_STATUS_SHUT_DOWN`: as
 *   `wsp_server_send_text`.
 *
 * The caller sees to it that:
 * - `stream` is null, or came from `wsp_stream_begin` and is not used by another thread.
 * - `data` is readable for `len` bytes.
 */
wsp_status wsp_stream_write(wsp_stream *stream,
                            const uint8_t *data,
                            size_t len);

/**
 * Ends the message and frees the stream, also if that fails: then the connection is closed as by
 * `wsp_stream_free`.
 *
 * Errors:
 * - As `wsp_stream_write`.
 *
 * The caller sees to it that:
 * - `stream` is null, or came from `wsp_stream_begin` and is not used again.
 */
wsp_status wsp_stream_end(wsp_stream *stream);

/**
 * Gives a message up. Null is ignored. If a piece of it was sent, the connection is closed with
 * 1011: nothing else can be said to a peer that waits for the rest.
 *
 * The caller sees to it that:
 * - `stream` is null, or came from `wsp_stream_begin` and is not used again.
 */
void wsp_stream_free(wsp_stream *stream);


/* -----------------------------------------------------------------------------------------------
 * One connection.
 * ----------------------------------------------------------------------------------------------- */

/** The shard that owns a connection, whose thread its events come on; 0 for an id that is none. */
uint32_t wsp_conn_shard(wsp_conn_id conn);

/**
 * Begins the close handshake, behind what waits for the connection. `WSP_EVENT_CLOSE` follows when
 * the peer has answered, or has not in time. `reason` may be null. May be called from any thread,
 * also inside a callback.
 *
 * Errors:
 * - `WSP_STATUS_GONE`: no open connection has this id.
 * - `WSP_STATUS_INVALID_ARGUMENT`: the code must not be sent (1000 to 1014 less 1004 to 1006, or
 *   3000 to 4999, are fine), or the reason is longer than 123 bytes or not UTF-8.
 * - `WSP_STATUS_BACKPRESSURE`: the shard's mailbox is full.
 * - `WSP_STATUS_SHUT_DOWN`: the server takes nothing more.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `reason` is null or ends with a NUL.
 */
wsp_status wsp_server_close(wsp_server *server,
                            wsp_conn_id conn,
                            uint16_t code,
                            const char *reason);

/**
 * Sends a ping of up to 125 bytes; `WSP_EVENT_PONG` brings the answer. May be called from any
 * thread, also inside a callback.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: the payload is longer than 125 bytes, or a pointer is null.
 * - Otherwise as `wsp_server_send_text`.
 *
 * The caller sees to it that:
 * - As `wsp_server_send_text`.
 */
wsp_status wsp_server_ping(wsp_server *server,
                           wsp_conn_id conn,
                           const uint8_t *data,
                           size_t len);

/**
 * Puts a connection into a room, before anything that this thread publishes there afterwards. A
 * connection that is in the room already stays; one that ends leaves all its rooms. May be called
 * from any thread, also inside a callback.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or the room's name is longer than 1024 bytes
 *   or not UTF-8.
 * - `WSP_STATUS_GONE`, `WSP_STATUS_BACKPRESSURE`, `WSP_STATUS_SHUT_DOWN`: as `wsp_server_close`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `room` is null or ends with a NUL.
 */
wsp_status wsp_server_join(wsp_server *server,
                           wsp_conn_id conn,
                           const char *room);

/**
 * Takes a connection out of a room, if it is inside. May be called from any thread, also inside a
 * callback.
 *
 * Errors:
 * - As `wsp_server_join`.
 *
 * The caller sees to it that:
 * - As `wsp_server_join`.
 */
wsp_status wsp_server_leave(wsp_server *server,
                            wsp_conn_id conn,
                            const char *room);

/**
 * Accepts an upgrade that was deferred or came as `WSP_EVENT_UPGRADE`. `subprotocol` is one that
 * the client offers, or null for the server's own choice; `conn_user` becomes the connection's user
 * pointer. May be called from any thread; only the first answer counts.
 *
 * Errors:
 * - `WSP_STATUS_GONE`: nothing is to be decided for this id, for instance because the handshake
 *   timeout has answered.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null, or the subprotocol is not UTF-8.
 * - `WSP_STATUS_BACKPRESSURE`, `WSP_STATUS_SHUT_DOWN`: as `wsp_server_close`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `subprotocol` is null or ends with a NUL.
 */
wsp_status wsp_server_accept(wsp_server *server,
                             wsp_conn_id conn,
                             const char *subprotocol,
                             void *conn_user);

/**
 * Rejects an upgrade that was deferred or came as `WSP_EVENT_UPGRADE`, with a status of 200 to 599
 * and a body of plain text, which may be null. Otherwise like `wsp_server_accept`.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: the status is not 200 to 599, `server` is null, or the body is
 *   not UTF-8.
 * - Otherwise as `wsp_server_accept`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `body` is null or ends with a NUL.
 */
wsp_status wsp_server_reject(wsp_server *server,
                             wsp_conn_id conn,
                             uint16_t status,
                             const char *body);

/**
 * Answers an upgrade that was deferred or came as `WSP_EVENT_UPGRADE` with a response of
 * `wsp_response_new`, which is copied: status 101 accepts, another one rejects. Otherwise like
 * `wsp_server_accept`.
 *
 * Errors:
 * - As `wsp_server_accept`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `response` is null or valid and not changed meanwhile.
 */
wsp_status wsp_server_respond(wsp_server *server,
                              wsp_conn_id conn,
                              const wsp_response *response);

/**
 * Gets the user pointer of a connection: null, or what was set last. Only on the thread that drives
 * the connection's shard; events carry it anyway.
 *
 * Errors:
 * - `WSP_STATUS_WRONG_THREAD`: this thread does not drive the connection's shard.
 * - `WSP_STATUS_GONE`: no open connection of the shard has this id.
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks;
 *   `conn_user` is null or writable.
 */
wsp_status wsp_server_conn_user(wsp_server *server,
                                wsp_conn_id conn,
                                void **conn_user);

/**
 * Sets the user pointer of a connection. The library never follows it. Events that are in a batch
 * already carry the one before.
 *
 * Errors:
 * - As `wsp_server_conn_user`.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 */
wsp_status wsp_server_set_conn_user(wsp_server *server,
                                    wsp_conn_id conn,
                                    void *conn_user);

/** What is known of a connection. */
typedef struct wsp_conn_info {
    /** Set it to `sizeof(wsp_conn_info)` before the call. */
    size_t size;
    /** The connection's user pointer. */
    void *conn_user;
    /** Bytes that wait to be sent. */
    size_t queued_bytes;
    /**
     * The subprotocol that was agreed on, not NUL-terminated; null if there is none. Valid until
     * the callback returns, or the shard's next turn.
     */
    const char *subprotocol;
    /** How many bytes `subprotocol` has. */
    size_t subprotocol_len;
    /** The port at the other end, or the one that a trusted proxy names; 0 for a Unix socket. */
    uint16_t peer_port;
    /**
     * The IP address at the other end, or the one that a trusted proxy names, as text with a NUL;
     * empty for a Unix socket.
     */
    char peer_ip[46];
} wsp_conn_info;

/**
 * Tells what is known of a connection, on the thread that drives its shard.
 *
 * Errors:
 * - `WSP_STATUS_WRONG_THREAD`, `WSP_STATUS_GONE`: as `wsp_server_conn_user`.
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or `info->size` is wrong.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `info` is null, or its `size` is readable and as many bytes are writable.
 */
wsp_status wsp_server_conn_info(wsp_server *server,
                                wsp_conn_id conn,
                                wsp_conn_info *info);


/* -----------------------------------------------------------------------------------------------
 * Whether a connection is there, and whether it is read.
 * ----------------------------------------------------------------------------------------------- */

/**
 * Whether a connection is open (or waits for its upgrade to be decided), as far as the calling
 * thread can know: it may end at any moment. False if `server` is null or stopped. May be called
 * from any thread; costs no lock.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 */
bool wsp_server_is_alive(wsp_server *server,
                         wsp_conn_id conn);

/**
 * Stops reading from a connection, whose peer's system notices and stops sending: for a host that
 * queues what it is handed and has enough. Messages that were read already still come, up to a read
 * buffer full (512 KiB). Until `wsp_server_resume`, no ping is sent and no pong missed; that the
 * peer has gone may be noticed only afterwards. Only on the thread that drives the connection's
 * shard.
 *
 * Errors:
 * - `WSP_STATUS_WRONG_THREAD`: this thread does not drive the connection's shard.
 * - `WSP_STATUS_GONE`: no open connection of the shard has this id.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 */
wsp_status wsp_server_pause(wsp_server *server,
                            wsp_conn_id conn);

/**
 * Reads from a connection again that `wsp_server_pause` has stopped; does nothing to others. Only
 * on the thread that drives the connection's shard.
 *
 * Errors:
 * - As `wsp_server_pause`.
 *
 * The caller sees to it that:
 * - As `wsp_server_pause`.
 */
wsp_status wsp_server_resume(wsp_server *server,
                             wsp_conn_id conn);


/* -----------------------------------------------------------------------------------------------
 * Sockets that the host accepted itself.
 * ----------------------------------------------------------------------------------------------- */

/**
 * Hands over a connected TCP or Unix stream socket on which nothing has been answered yet: its
 * request is read, checked and decided as if the server had accepted it. `early` holds what has
 * been read of it, up to 128 KiB, and may be all of the request.
 *
 * The socket is the server's from here on; if the call fails, it is closed, except that with a null
 * server or a number that is no socket nothing is done to it. May be called from any thread, also
 * inside a callback.
 *
 * Errors:
 * - `WSP_STATUS_IO`: it is not a connected stream socket, TCP or Unix.
 * - `WSP_STATUS_BACKPRESSURE`: there are as many connections as there may be.
 * - `WSP_STATUS_SHUT_DOWN`: the server takes nothing more.
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, `fd` cannot be a socket, or `len` is above
 *   128 KiB.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `fd` is an open socket that the caller owns and does not use again.
 * - `early` is readable for `len` bytes.
 */
wsp_status wsp_server_adopt(wsp_server *server,
                            wsp_fd fd,
                            const uint8_t *early,
                            size_t len);

/**
 * Hands over a connected TCP or Unix stream socket whose upgrade the host has answered with 101: it
 * is open at once, and `WSP_EVENT_OPEN` tells its id. `early` holds what was read behind the
 * request. `subprotocol` is the one that was agreed on, or null. Origin and limits of a handshake
 * are the host's business here. Otherwise like `wsp_server_adopt`.
 *
 * Errors:
 * - As `wsp_server_adopt`.
 *
 * The caller sees to it that:
 * - As `wsp_server_adopt`; `subprotocol` is null or ends with a NUL.
 */
wsp_status wsp_server_adopt_upgraded(wsp_server *server,
                                     wsp_fd fd,
                                     const char *subprotocol,
                                     void *conn_user,
                                     const uint8_t *early,
                                     size_t len);


/* -----------------------------------------------------------------------------------------------
 * Counters.
 * ----------------------------------------------------------------------------------------------- */

/**
 * What was counted since the start, as of each shard's last turn; the first three are as things are
 * now.
 */
typedef struct wsp_stats {
    /** Set it to `sizeof(wsp_stats)` before the call. */
    size_t size;
    /** Open WebSocket connections, now. */
    uint64_t connections;
    /** Connections in any state, handshakes and closing ones included, now. */
    uint64_t sockets;
    /** Rooms with members, now. A room counts once for each shard that has members of it. */
    uint64_t rooms;
    /** Connections that were opened by a handshake. */
    uint64_t opened;
    /** Requests that were answered with a status other than 101. */
    uint64_t answered;
    /** Messages received, or pieces of them where fragments are streamed. */
    uint64_t messages_in;
    /** Messages queued for sending; a broadcast counts once for each receiver. */
    uint64_t messages_out;
    /** Bytes read. */
    uint64_t bytes_in;
    /** Bytes written. */
    uint64_t bytes_out;
    /** Messages dropped because an outbox was full or a connection gone. */
    uint64_t dropped;
    /** Connections closed because they did not take what was pushed. */
    uint64_t slow_consumers;
    /** Connections failed because the peer broke the protocol. */
    uint64_t violations;
    /** Connections cut by a timeout. */
    uint64_t timeouts;
    /** Panics that were caught. */
    uint64_t panics;
    /** Turns of the loops. */
    uint64_t turns;
    /** Connections accepted. Only for the whole server, as those below. */
    uint64_t accepted;
    /** Accepts that failed, most often for want of descriptors. */
    uint64_t accept_errors;
    /**
     * Connections refused because there were too many, in all or from one address, or because they
     * came from elsewhere than a trusted proxy.
     */
    uint64_t refused;
    /**
     * Bytes that wait to be sent, now: what is left of each outbox after it was tried, and what
     * gathers (`wsp_config_set_push_merge_ms`).
     */
    uint64_t queue_bytes;
    /** Calls of the system by which bytes were sent; what leaves together counts once. */
    uint64_t sends;
    /** Memberships, now: the sum of the rooms' members. */
    uint64_t memberships;
    /**
     * Bytes of memory of the shard's own structures, now: entries, timers, rooms, read buffer and
     * spare outboxes. What waits to be sent is counted by `queue_bytes`. Looked at when the clock
     * of the timers moves.
     */
    uint64_t memory;
    /** Of `dropped`: because the policy is to close slow consumers. */
    uint64_t dropped_slow_consumer;
    /** Of `dropped`: new messages, because the policy is to drop those. */
    uint64_t dropped_new;
    /** Of `dropped`: old messages, because the policy is to drop those. */
    uint64_t dropped_old;
    /** Of `dropped`: the connection had gone. */
    uint64_t dropped_gone;
    /**
     * Connections that were to join a room and were in as many as `max_rooms_per_connection`
     * allows.
     */
    uint64_t joins_refused;
    /** Calls that found the mailbox full. */
    uint64_t mailbox_full;
    /**
     * Connections that ended with close code 1000: that of the peer's close frame (1005 if it had
     * none), or, if no close frame came, that of ours, or 1006 if there was none either.
     */
    uint64_t closed_1000;
    /** The same with 1001. */
    uint64_t closed_1001;
    /** The same with 1002. */
    uint64_t closed_1002;
    /** The same with 1003. */
    uint64_t closed_1003;
    /** The same with 1005. */
    uint64_t closed_1005;
    /** The same with 1006. */
    uint64_t closed_1006;
    /** The same with 1007. */
    uint64_t closed_1007;
    /** The same with 1008. */
    uint64_t closed_1008;
    /** The same with 1009. */
    uint64_t closed_1009;
    /** The same with 1010. */
    uint64_t closed_1010;
    /** The same with 1011. */
    uint64_t closed_1011;
    /** The same with 1012. */
    uint64_t closed_1012;
    /** The same with 1013. */
    uint64_t closed_1013;
    /** The same with 1014. */
    uint64_t closed_1014;
    /** The same with 3000 to 3999. */
    uint64_t closed_3xxx;
    /** The same with 4000 to 4999. */
    uint64_t closed_4xxx;
    /** Of `answered`: with 400, the request is not HTTP or not a handshake. */
    uint64_t answered_400;
    /** Of `answered`: with 403, the origin is not allowed. */
    uint64_t answered_403;
    /** Of `answered`: with 408, the handshake took too long. */
    uint64_t answered_408;
    /** Of `answered`: with 426, no upgrade was asked for, or one of another version. */
    uint64_t answered_426;
    /** Of `answered`: with 429, too many connections from one address. */
    uint64_t answered_429;
    /** Of `answered`: with 431, the request is too large. */
    uint64_t answered_431;
    /** Of `answered`: with 503, too many connections, or the server is shutting down. */
    uint64_t answered_503;
    /** Of `answered`: with any other 4xx. */
    uint64_t answered_4xx;
    /** Of `answered`: with any other 5xx. */
    uint64_t answered_5xx;
    /** Of `answered`: with 2xx and 3xx, which a handler did. */
    uint64_t answered_other;
    /**
     * Loop lag in nanoseconds: how long a turn lasts, from the end of a wait to the end of all that
     * it brought about, which is how long something that comes meanwhile has to wait. The
     * exponential mean over turns, each of which weighs one sixteenth. In hosted mode, what the
     * host does between two turns is not in it. Of a whole server, that of the slowest shard.
     */
    uint64_t loop_lag_ns;
    /**
     * The longest turn in nanoseconds, of this second and the one before; the seconds are 1,024 ms
     * and begin with the shard. Of a whole server, that of the slowest shard.
     */
    uint64_t loop_lag_max_ns;
    /** Of `refused`: too many in all. */
    uint64_t refused_max_connections;
    /** Of `refused`: too many from one address. */
    uint64_t refused_max_connections_per_ip;
    /**
     * Messages pushed to one connection or a list of them; each call counts once, however many it
     * is for. Only for the whole server, as `refused` and those below.
     */
    uint64_t pushed_conns;
    /** Messages pushed to rooms. */
    uint64_t pushed_rooms;
    /** Messages pushed to everybody. */
    uint64_t pushed_all;
    /** Of `refused`: not from a trusted proxy (`wsp_config_set_proxy_protocol`). */
    uint64_t refused_untrusted;
} wsp_stats;

/**
 * What the whole server has counted. May be called from any thread, also inside a callback.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or `stats->size` is wrong.
 *
 * The caller sees to it that:
 * - `server` is null, or the caller holds a reference or is inside one of its callbacks.
 * - `stats` is null, or its `size` is readable and as many bytes are writable.
 */
wsp_status wsp_server_stats(const wsp_server *server, wsp_stats *stats);

/**
 * What one shard has counted; otherwise like `wsp_server_stats`.
 *
 * Errors:
 * - As `wsp_server_stats`; `WSP_STATUS_INVALID_ARGUMENT` also if there is no such shard.
 *
 * The caller sees to it that:
 * - As `wsp_server_stats`.
 */
wsp_status wsp_server_shard_stats(const wsp_server *server,
                                  uint32_t shard,
                                  wsp_stats *stats);


/* -----------------------------------------------------------------------------------------------
 * Client configuration: what a client is told before it connects.
 * ----------------------------------------------------------------------------------------------- */

/** Makes a configuration of defaults. `wsp_client_config_free` frees it. */
wsp_client_config *wsp_client_config_new(void);

/**
 * Frees a configuration. Null is ignored.
 *
 * The caller sees to it that:
 * - `config` is null, or came from `wsp_client_config_new` and is not used again.
 */
void wsp_client_config_free(wsp_client_config *config);

/**
 * Checks every setting by itself and against the others, as the start of a client does.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_SETTING`: the message names the first wrong setting, its value and what is
 *   wrong with it.
 *
 * The caller sees to it that:
 * - `config` is null, or came from `wsp_client_config_new` and is not changed by another thread.
 */
wsp_status wsp_client_config_check(const wsp_client_config *config);

/**
 * Sends one more header field with the request, such as `"Authorization"`; `"Host"` replaces the
 * one of the URL.
 *
 * The caller sees to it that:
 * - `config` is null, or came from `wsp_client_config_new` and is not used by another thread.
 * - `name` and `value` are null or end with a NUL.
 */
wsp_status wsp_client_config_add_header(wsp_client_config *config,
                                        const char *name,
                                        const char *value);

/**
 * Offers one more subprotocol, after those that were added before. The server need not choose one;
 * which, is the payload of `WSP_CLIENT_EVENT_CONNECTED`.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`; `name` is null or ends with a NUL.
 */
wsp_status wsp_client_config_add_subprotocol(wsp_client_config *config,
                                             const char *name);

/**
 * Names the page that the client speaks for, in the field `Origin`. Default: none, as programs do
 * that are no browsers.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`; `origin` is null or ends with a NUL.
 */
wsp_status wsp_client_config_set_origin(wsp_client_config *config,
                                        const char *origin);

/**
 * Sends one more message first on every connection, before all that waits: to log in, to join rooms
 * again. Copies the payload.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: `data` is null with `len > 0`, `kind` is unknown, or text is not
 *   UTF-8.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`; `data` is null or readable for `len` bytes.
 */
wsp_status wsp_client_config_add_greeting(wsp_client_config *config,
                                          wsp_message_kind kind,
                                          const uint8_t *data,
                                          size_t len);

/**
 * Has `wsp_client_group_wait` report the clients of this configuration by `token`, a number of the
 * caller's. Set another token for each. The group may be freed before its clients.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 * - `group` is null, or came from `wsp_client_group_new` and is not yet freed.
 */
wsp_status wsp_client_config_set_group(wsp_client_config *config,
                                       const wsp_client_group *group,
                                       uint64_t token);

/**
 * From looking up the name to the end of the handshake. Default: 10 s.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_connect_timeout_ms(wsp_client_config *config,
                                                    uint32_t timeout_ms);

/**
 * A connection of which the server takes no byte for this long is cut. Default: 10 s.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_write_timeout_ms(wsp_client_config *config,
                                                  uint32_t timeout_ms);

/**
 * How long the server has to answer our close frame, and then to close the stream. Default: 5 s;
 * not 0.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_close_timeout_ms(wsp_client_config *config,
                                                  uint32_t timeout_ms);

/**
 * A ping is sent when nothing came from the server for this long, and again after as long. Default:
 * 54 s.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_ping_interval_ms(wsp_client_config *config,
                                                  uint32_t interval_ms);

/**
 * A connection on which nothing came from the server for this long is dead; longer than the ping
 * interval. A client that is not received from listens to nobody, and that time does not count.
 * Default: 60 s.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_pong_timeout_ms(wsp_client_config *config,
                                                 uint32_t timeout_ms);

/**
 * Largest message taken, fragments added up; a larger one ends the connection with 1009. Default: 1
 * MiB. 0 takes empty messages only.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_max_message_size(wsp_client_config *config,
                                                  size_t bytes);

/**
 * Bytes that may wait to be sent; then `wsp_client_send` waits. No message may be larger. Default:
 * 1 MiB; not 0.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_max_outbox_bytes(wsp_client_config *config,
                                                  size_t bytes);

/**
 * Bytes that may wait for `wsp_client_recv`; then nothing is read, and the server is held up by the
 * network. One message may exceed it. Default: 4 MiB; not 0.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_max_inbox_bytes(wsp_client_config *config,
                                                 size_t bytes);

/**
 * Makes a new connection whenever one is lost or could not be made, whatever the reason, until the
 * client is closed: after delays that are drawn between the least and three times the last one, and
 * never longer than the most.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_reconnect(wsp_client_config *config,
                                           uint32_t least_delay_ms,
                                           uint32_t most_delay_ms);

/**
 * After a connection that lasted this long, delays and attempts begin anew. Default: 10 s. Switches
 * reconnecting on, with delays of 500 ms to 30 s where `wsp_client_config_set_reconnect` has set no
 * others.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_reconnect_stable_ms(wsp_client_config *config,
                                                     uint32_t stable_ms);

/**
 * Ends the client after so many tries without a connection that lasted; 0, the default, means no
 * limit. Switches reconnecting on, as `wsp_client_config_set_reconnect_stable_ms` does.
 *
 * The caller sees to it that:
 * - `config` is as for `wsp_client_config_add_header`.
 */
wsp_status wsp_client_config_set_reconnect_attempts(wsp_client_config *config,
                                                    uint32_t attempts);


/* -----------------------------------------------------------------------------------------------
 * Client events: what happens to a client.
 * ----------------------------------------------------------------------------------------------- */

/**
 * What happened to a client. A later minor version may add kinds: ignore those that you do not
 * know.
 */
typedef uint32_t wsp_client_event_kind;

/**
 * A connection is open: the first, or another one. `data` and `len` are the subprotocol that the
 * server chose, if any.
 */
#define WSP_CLIENT_EVENT_CONNECTED 1
/** A message came: `data`, `len`, and `WSP_EVENT_FLAG_TEXT` if it is text. */
#define WSP_CLIENT_EVENT_MESSAGE 2
/** The answer to `wsp_client_ping` came: `data` and `len` are the ping's payload. */
#define WSP_CLIENT_EVENT_PONG 3
/**
 * A connection has ended, or could not be made: `cause`, `code` and `message` say how, `data` and
 * `len` are the reason in the server's close frame. With `retry_in_ms` -1 the client has ended, and
 * nothing follows.
 */
#define WSP_CLIENT_EVENT_DISCONNECTED 4
/** Disconnected: for something that this header does not know. */
#define WSP_CLIENT_CAUSE_OTHER 0
/**
 * Disconnected: there was no connection. `status` says why, as `wsp_client_connect` would;
 * `http_status` what the server answered, if it refused.
 */
#define WSP_CLIENT_CAUSE_NOT_CONNECTED 1
/** Disconnected: the server closed. */
#define WSP_CLIENT_CAUSE_SERVER 2
/** Disconnected: the client closed. */
#define WSP_CLIENT_CAUSE_CLIENT 3
/** Disconnected: the server broke the protocol, or sent a message that is too large. */
#define WSP_CLIENT_CAUSE_VIOLATION 4
/** Disconnected: nothing came from the server for the pong timeout. */
#define WSP_CLIENT_CAUSE_PONG_TIMEOUT 5
/** Disconnected: the server took nothing for the write timeout. */
#define WSP_CLIENT_CAUSE_WRITE_TIMEOUT 6
/** Disconnected: the server did not answer our close frame in time. */
#define WSP_CLIENT_CAUSE_CLOSE_TIMEOUT 7
/** Disconnected: the stream ended without a close frame. */
#define WSP_CLIENT_CAUSE_END_OF_STREAM 8
/** Disconnected: the stream failed. */
#define WSP_CLIENT_CAUSE_LOST 9
/** Disconnected: a bug in the library. */
#define WSP_CLIENT_CAUSE_PANIC 10

/**
 * Something that happened to a client. Its size and layout are part of the ABI and do not change
 * within a major version.
 */
typedef struct wsp_client_event {
    /** A `WSP_CLIENT_EVENT_*`. */
    wsp_client_event_kind kind;
    /** `WSP_EVENT_FLAG_*`, or-ed. */
    uint32_t flags;
    /** Payload, subprotocol or reason. Never null. */
    const uint8_t *data;
    /** Its length in bytes. */
    size_t len;
    /** Disconnected: what happened in words, for a person to read. Otherwise null. */
    const char *message;
    /** Disconnected: milliseconds until the next connection is tried, or -1. Otherwise 0. */
    int64_t retry_in_ms;
    /** Disconnected: why there was no connection. Otherwise `WSP_STATUS_OK`. */
    wsp_status status;
    /** Disconnected: a `WSP_CLIENT_CAUSE_*`. Otherwise 0. */
    uint16_t cause;
    /**
     * Disconnected: the code of the server's close frame, 1005 if it had none, 1006 if none came.
     * Otherwise 0.
     */
    uint16_t code;
    /** Disconnected: the HTTP status by which the server refused. Otherwise 0. */
    uint16_t http_status;
    /** Zero. */
    uint16_t reserved[3];
} wsp_client_event;


/* -----------------------------------------------------------------------------------------------
 * Clients: connections to a server.
 * ----------------------------------------------------------------------------------------------- */

/**
 * Connects to `url`, `"ws://HOST[:PORT][/PATH][?QUERY]"` or on Unix
 * `"unix:/path/of/socket[:/PATH]"`, and writes the client to `*client`. Blocks until the handshake
 * is done, at most for the configuration's connect timeout. `config` may be null for defaults. The
 * first event is `WSP_CLIENT_EVENT_CONNECTED`. `wsp_client_free` frees the client.
 *
 * Errors:
 * Also of a client that reconnects, the first try decides; `wsp_client_start` goes on.
 *
 * - `WSP_STATUS_IO`: the name has no address, or nobody listens there; the message tells which.
 * - `WSP_STATUS_TIMED_OUT`: the connect timeout is over; the message tells what was being done.
 * - `WSP_STATUS_REFUSED`: the server answered with another HTTP status than 101; the message tells
 *   it.
 * - `WSP_STATUS_BAD_HANDSHAKE`: the server does not speak WebSocket as it should.
 * - `WSP_STATUS_INVALID_ARGUMENT`: an argument is null, or the URL is none; `wss://` is none yet.
 * - `WSP_STATUS_INVALID_SETTING`: the configuration has a value that it cannot have.
 *
 * The caller sees to it that:
 * - `url` is null or ends with a NUL.
 * - `config` is null, or came from `wsp_client_config_new` and is not changed by another thread.
 * - `client` is null or writable.
 */
wsp_status wsp_client_connect(const char *url,
                              const wsp_client_config *config,
                              wsp_client **client);

/**
 * Begins to connect, as `wsp_client_connect` does, and returns at once. What comes of it are the
 * client's first events.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`, `WSP_STATUS_INVALID_SETTING`: as `wsp_client_connect`.
 * - `WSP_STATUS_IO`: the system gives no thread.
 *
 * The caller sees to it that:
 * - As `wsp_client_connect`.
 */
wsp_status wsp_client_start(const char *url,
                            const wsp_client_config *config,
                            wsp_client **client);

/**
 * Frees a client. Null is ignored. One that has not ended closes with 1000 in the background: what
 * was sent still leaves, for at most the close timeout, unless the process ends first. To know that
 * it has left, call `wsp_client_close` before.
 *
 * The caller sees to it that:
 * - `client` is null, or came from `wsp_client_connect` or `wsp_client_start` and is not used again
 *   by any thread.
 */
void wsp_client_free(wsp_client *client);

/**
 * Sends a message. Copies the payload. Waits while the outbox is full, for at most `timeout_ms`: 0
 * never waits, negative waits for ever. Success means queued; with reconnecting that is possible
 * also between connections.
 *
 * Errors:
 * - `WSP_STATUS_BACKPRESSURE`: the outbox is full, and `timeout_ms` is 0.
 * - `WSP_STATUS_TIMED_OUT`: the outbox stayed full.
 * - `WSP_STATUS_GONE`: the client has ended or is closing.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `client` is null, `data` is null with `len > 0`, `kind` is
 *   unknown, text is not UTF-8, or the message is larger than the outbox's bound.
 *
 * The caller sees to it that:
 * - `client` is null or live; `data` is null or readable for `len` bytes.
 */
wsp_status wsp_client_send(const wsp_client *client,
                           wsp_message_kind kind,
                           const uint8_t *data,
                           size_t len,
                           int32_t timeout_ms);

/**
 * Sends a ping, after what waits, with a payload of at most 125 bytes. The answer is a
 * `WSP_CLIENT_EVENT_PONG`. Never waits.
 *
 * Errors:
 * - `WSP_STATUS_BACKPRESSURE`: the outbox is full.
 * - `WSP_STATUS_GONE`: the client has ended or is closing.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `client` is null, `data` is null with `len > 0`, or the payload
 *   is too long.
 *
 * The caller sees to it that:
 * - As `wsp_client_send`.
 */
wsp_status wsp_client_ping(const wsp_client *client,
                           const uint8_t *data,
                           size_t len);

/**
 * Waits for the next event, for at most `timeout_ms` (0 never waits, negative waits for ever), and
 * writes it to `*event`.
 *
 * What the event points to is the library's and valid until the next call of this function for this
 * client, or `wsp_client_free`. A client from which nobody receives stops reading when its inbox is
 * full.
 *
 * Errors:
 * - `WSP_STATUS_TIMED_OUT`: nothing happened.
 * - `WSP_STATUS_GONE`: the client has ended, and all its events were received.
 * - `WSP_STATUS_WRONG_THREAD`: another thread is inside this function for this client.
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null.
 *
 * The caller sees to it that:
 * - `client` is null or live; `event` is null or writable.
 */
wsp_status wsp_client_recv(const wsp_client *client,
                           int32_t timeout_ms,
                           wsp_client_event *event);

/**
 * Closes: what was sent leaves, then a close frame with `code` and `reason` (null for none), and
 * the client ends when the server has answered or the configuration's close timeout is over; a
 * `WSP_CLIENT_EVENT_DISCONNECTED` tells how. Waits for the end for at most `timeout_ms`: 0 never
 * waits, negative waits for ever. From the call on nothing can be sent; what came can still be
 * received. Closing again changes nothing and waits for the same end.
 *
 * Errors:
 * - `WSP_STATUS_TIMED_OUT`: the client has not ended yet. It is closing all the same. Not with
 *   `timeout_ms` 0.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `client` is null, the code must not be sent, or the reason is
 *   not UTF-8 or longer than 123 bytes.
 *
 * The caller sees to it that:
 * - `client` is null or live; `reason` is null or ends with a NUL.
 */
wsp_status wsp_client_close(const wsp_client *client,
                            uint16_t code,
                            const char *reason,
                            int32_t timeout_ms);


/* -----------------------------------------------------------------------------------------------
 * Client group: waiting for many clients in one thread.
 * ----------------------------------------------------------------------------------------------- */

/** Makes an empty group. `wsp_client_group_free` frees it. */
wsp_client_group *wsp_client_group_new(void);

/**
 * Frees a group. Null is ignored. Clients that are told of it go on.
 *
 * The caller sees to it that:
 * - `group` is null, or came from `wsp_client_group_new` and is not used again.
 */
void wsp_client_group_free(wsp_client_group *group);

/**
 * Waits until something has changed for a client, at most `timeout_ms` (negative: for ever), and
 * writes the tokens of at most `capacity` such clients to `tokens` and their number to `*count`,
 * which is 0 when the time is over or `wsp_client_group_wake` was called.
 *
 * Something has changed when there are events to receive, when there is room to send again, or when
 * the client has ended. A client is reported again only after another change: receive with
 * `timeout_ms` 0 until `WSP_STATUS_TIMED_OUT`. A client that was freed may still be reported once.
 *
 * Errors:
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or `capacity` is 0.
 *
 * The caller sees to it that:
 * - `group` is null, or came from `wsp_client_group_new` and is not yet freed.
 * - `tokens` is null or writable for `capacity` numbers; `count` is null or writable.
 */
wsp_status wsp_client_group_wait(const wsp_client_group *group,
                                 uint64_t *tokens,
                                 size_t capacity,
                                 int32_t timeout_ms,
                                 size_t *count);

/**
 * Ends the wait of a group, or its next one. May be called from any thread.
 *
 * The caller sees to it that:
 * - `group` is null, or came from `wsp_client_group_new` and is not yet freed.
 */
wsp_status wsp_client_group_wake(const wsp_client_group *group);


/* -----------------------------------------------------------------------------------------------
 * The portable poller by itself: epoll, kqueue or IOCP over any socket, without a server.
 * ----------------------------------------------------------------------------------------------- */

/** Report when reading would not block. Or-ed with the next, or 0 for neither. */
#define WSP_INTEREST_READ 1
/** Report when writing would not block. */
#define WSP_INTEREST_WRITE 2

/** How often a socket is reported. */
typedef uint32_t wsp_poll_mode;

/** Once; `wsp_poller_modify` arms it again. On every system. */
#define WSP_POLL_MODE_ONESHOT 0
/** As long as it is ready. On every system; emulated on Windows. */
#define WSP_POLL_MODE_LEVEL 1
/** When it becomes ready. With epoll and kqueue, not on Windows. */
#define WSP_POLL_MODE_EDGE 2
/** Reading would not block. */
#define WSP_READY_READ 1
/** Writing would not block. */
#define WSP_READY_WRITE 2
/** The peer has gone, where the system tells. */
#define WSP_READY_HANG_UP 4
/** An error waits, where the system tells. */
#define WSP_READY_ERROR 8

/** A socket that is ready. */
typedef struct wsp_ready {
    /** The key that it was added with. */
    uint64_t key;
    /** `WSP_READY_*`, or-ed. */
    uint32_t flags;
    /** Zero. */
    uint32_t reserved;
} wsp_ready;

/**
 * Makes a poller. `wsp_poller_free` frees it.
 *
 * Errors:
 * - `WSP_STATUS_IO`: the system refuses.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `poller` is null.
 *
 * The caller sees to it that:
 * - `poller` is null or writable.
 */
wsp_status wsp_poller_new(wsp_poller **poller);

/**
 * Frees a poller. Null is ignored. Sockets that are left in it stay open.
 *
 * The caller sees to it that:
 * - `poller` is null, or came from `wsp_poller_new` and is used by nobody any more.
 */
void wsp_poller_free(wsp_poller *poller);

/**
 * Watches a socket, which is set to non-blocking mode by the caller. It has to be removed before it
 * is closed.
 *
 * Errors:
 * - `WSP_STATUS_IO`: the system refuses, for instance because the socket is watched already.
 * - `WSP_STATUS_UNSUPPORTED`: this system has no such mode.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `poller` is null, `fd` cannot be a socket, `interest` or `mode`
 *   is none, or `key` is `UINT64_MAX` or too large for a pointer.
 *
 * The caller sees to it that:
 * - `poller` is null, or came from `wsp_poller_new` and is not freed meanwhile.
 * - `fd` is open, and is removed before it is closed.
 */
wsp_status wsp_poller_add(wsp_poller *poller,
                          wsp_fd fd,
                          uint64_t key,
                          uint32_t interest,
                          wsp_poll_mode mode);

/**
 * Changes key, interest and mode of a socket that is watched, and arms it again.
 *
 * Errors:
 * - As `wsp_poller_add`; `WSP_STATUS_IO` also if it is not watched.
 *
 * The caller sees to it that:
 * - `poller` is null, or came from `wsp_poller_new` and is not freed meanwhile; `fd` is open.
 */
wsp_status wsp_poller_modify(wsp_poller *poller,
                             wsp_fd fd,
                             uint64_t key,
                             uint32_t interest,
                             wsp_poll_mode mode);

/**
 * Watches a socket no longer. Events of it that a wait has returned already are not taken back.
 *
 * Errors:
 * - `WSP_STATUS_IO`: it is not watched.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `poller` is null or `fd` cannot be a socket.
 *
 * The caller sees to it that:
 * - `poller` is null, or came from `wsp_poller_new` and is not freed meanwhile; `fd` is open.
 */
wsp_status wsp_poller_remove(wsp_poller *poller, wsp_fd fd);

/**
 * Waits until sockets are ready, `wsp_poller_notify` is called or `timeout_ms` is over (negative:
 * for ever), and writes up to `capacity` of them to `events` and their number to `*count`, which
 * may be 0. A socket may be reported twice, once for reading and once for writing.
 *
 * Errors:
 * - `WSP_STATUS_WRONG_THREAD`: another thread is waiting.
 * - `WSP_STATUS_IO`: the system's readiness queue failed.
 * - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or `capacity` is 0.
 *
 * The caller sees to it that:
 * - `poller` is null, or came from `wsp_poller_new` and is not freed meanwhile.
 * - `events` is null or writable for `capacity` events; `count` is null or writable.
 */
wsp_status wsp_poller_wait(wsp_poller *poller,
                           wsp_ready *events,
                           size_t capacity,
                           int32_t timeout_ms,
                           size_t *count);

/**
 * Ends the wait of another thread, or the next one. Several calls before that end one wait.
 *
 * Errors:
 * - `WSP_STATUS_IO`: the system refuses.
 * - `WSP_STATUS_INVALID_ARGUMENT`: `poller` is null.
 *
 * The caller sees to it that:
 * - `poller` is null, or came from `wsp_poller_new` and is not freed meanwhile.
 */
wsp_status wsp_poller_notify(wsp_poller *poller);

#ifdef __cplusplus
}
#endif

#endif /* WSPOLL_H */
