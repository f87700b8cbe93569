//! The list of settings: name, unit, default, help, and how each is set from text.

use std::fmt;

use super::endpoint::endpoint;
use super::trusted::trusted_proxy;
use super::values::{self, Parsed};

use super::{
    Config, DEFAULT_BACKLOG, DEFAULT_CLOSE_TIMEOUT, DEFAULT_DRAIN_TIMEOUT,
    DEFAULT_HANDSHAKE_TIMEOUT, DEFAULT_LISTEN, DEFAULT_MAX_HANDSHAKE_BYTES,
    DEFAULT_MAX_MAILBOX_BYTES, DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_MAX_OUTBOX_BYTES,
    DEFAULT_MAX_ROOMS_PER_CONNECTION, DEFAULT_PING_INTERVAL, DEFAULT_PONG_TIMEOUT,
    DEFAULT_PUSH_MERGE_BYTES, DEFAULT_UNIX_MODE, DEFAULT_WRITE_TIMEOUT, ForwardedHeader, Origin,
    SlowConsumer, Token, ip_address,
};

/// One entry of [`Config::SETTINGS`].
pub struct Setting {
    /// Its name: `max_message_size`. The command line writes it `--max-message-size`, the environment
    /// `WSPOLL_MAX_MESSAGE_SIZE`.
    pub name: &'static str,
    /// What a value is: `BYTES`, `MS`, `N`, or the choices.
    pub unit: &'static str,
    /// The default as text, in the form that [`Config::set`] takes.
    pub default: fn() -> String,
    /// One or two sentences for a person.
    pub help: &'static str,
    pub(super) set: fn(&mut Config, &str) -> Parsed<()>,
}

impl Setting {
    /// Whether its value is a time, a number without a unit being milliseconds.
    pub fn is_time(&self) -> bool {
        self.unit == "MS"
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").field("name", &self.name).field("unit", &self.unit).finish()
    }
}

pub(super) const ALL: &[Setting] = &[
    Setting {
        name: "listen",
        unit: "ADDRESS,…",
        default: || DEFAULT_LISTEN.to_owned(),
        help: "What to listen on: IP:PORT (port 0 takes a free one), [::]:PORT, unix:/path, fd:NUMBER, systemd",
        set: |config, text| {
            config.listen = values::list(text, endpoint)?;
            Ok(())
        },
    },
    Setting {
        name: "ipv6_only",
        unit: "true|false",
        default: || "false".to_owned(),
        help: "[::] takes no IPv4 connections",
        set: |config, text| values::flag(text).map(|on| config.ipv6_only = on),
    },
    Setting {
        name: "unix_mode",
        unit: "OCTAL",
        default: || values::show_mode(DEFAULT_UNIX_MODE),
        help: "Permissions of Unix sockets; whoever may write may connect",
        set: |config, text| values::mode(text).map(|mode| config.unix_mode = mode),
    },
    Setting {
        name: "trusted_proxies",
        unit: "IP|IP/BITS|unix,…",
        default: String::new,
        help: "Proxies that are believed about where a connection comes from; max_connections_per_ip does not count them",
        set: |config, text| {
            config.trusted_proxies = values::list(text, trusted_proxy)?;
            Ok(())
        },
    },
    Setting {
        name: "proxy_protocol",
        unit: "true|false",
        default: || "false".to_owned(),
        help: "Every connection begins with a PROXY protocol header (v1 or v2) of a trusted proxy; others are refused",
        set: |config, text| values::flag(text).map(|on| config.proxy_protocol = on),
    },
    Setting {
        name: "forwarded_header",
        unit: "off|x-forwarded-for|forwarded",
        default: || ForwardedHeader::Off.to_string(),
        help: "The header in which requests of trusted proxies name their clients",
        set: |config, text| {
            config.forwarded_header = match text {
                "off" => ForwardedHeader::Off,
                "x-forwarded-for" => ForwardedHeader::XForwardedFor,
                "forwarded" => ForwardedHeader::Forwarded,
                _ => return Err("must be off, x-forwarded-for or forwarded".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        name: "shards",
        unit: "N",
        default: || "0".to_owned(),
        help: "Event loops, each on a thread of its own; 0 means one per core",
        set: |config, text| values::number(text).map(|n| config.shards = n),
    },
    Setting {
        name: "backlog",
        unit: "N",
        default: || DEFAULT_BACKLOG.to_string(),
        help: "Connections that the kernel holds until they are accepted",
        set: |config, text| values::number(text).map(|n| config.backlog = n),
    },
    Setting {
        name: "max_message_size",
        unit: "BYTES",
        default: || values::show_size(DEFAULT_MAX_MESSAGE_SIZE),
        help: "Largest message taken, fragments added up; a larger one closes with 1009",
        set: |config, text| values::size(text).map(|n| config.max_message_size = n),
    },
    Setting {
        name: "stream_fragments",
        unit: "true|false",
        default: || "false".to_owned(),
        help: "Hand over fragments as they come instead of putting messages together",
        set: |config, text| values::flag(text).map(|on| config.stream_fragments = on),
    },
    Setting {
        name: "origin",
        unit: "same|any|ORIGIN,…",
        default: || "same".to_owned(),
        help: "Whose pages may connect: those of the same host, of any, or of these (https://example.com, https://*.example.com)",
        set: |config, text| {
            config.origin = match text {
                "same" => Origin::Same,
                "any" => Origin::Any,
                "" => return Err("must be same, any or a list of origins".to_owned()),
                _ => Origin::List(values::list(text, values::origin)?),
            };
            Ok(())
        },
    },
    Setting {
        name: "subprotocols",
        unit: "NAME,…",
        default: String::new,
        help: "Subprotocols spoken, most wanted first",
        set: |config, text| {
            config.subprotocols = values::list(text, values::token)?;
            Ok(())
        },
    },
    Setting {
        name: "max_handshake_bytes",
        unit: "BYTES",
        default: || values::show_size(DEFAULT_MAX_HANDSHAKE_BYTES),
        help: "Largest request head; a larger one is answered with 431",
        set: |config, text| values::size(text).map(|n| config.max_handshake_bytes = n),
    },
    Setting {
        name: "handshake_timeout",
        unit: "MS",
        default: || values::show_duration(DEFAULT_HANDSHAKE_TIMEOUT),
        help: "From accept to the end of the handshake, then 408; 0 means no limit",
        set: |config, text| values::duration(text).map(|d| config.handshake_timeout = d),
    },
    Setting {
        name: "ping_interval",
        unit: "MS",
        default: || values::show_duration(DEFAULT_PING_INTERVAL),
        help: "A ping is sent when nothing came from the peer for this long; 0 means never",
        set: |config, text| values::duration(text).map(|d| config.ping_interval = d),
    },
    Setting {
        name: "pong_timeout",
        unit: "MS",
        default: || values::show_duration(DEFAULT_PONG_TIMEOUT),
        help: "A peer of which nothing came for this long is dead; longer than ping_interval; 0 means no limit",
        set: |config, text| values::duration(text).map(|d| config.pong_timeout = d),
    },
    Setting {
        name: "idle_timeout",
        unit: "MS",
        default: || "0".to_owned(),
        help: "A connection without a message either way for this long is closed with 1001; 0 means no limit",
        set: |config, text| values::duration(text).map(|d| config.idle_timeout = d),
    },
    Setting {
        name: "write_timeout",
        unit: "MS",
        default: || values::show_duration(DEFAULT_WRITE_TIMEOUT),
        help: "A peer that takes no byte of what waits for it for this long is cut off; 0 means no limit",
        set: |config, text| values::duration(text).map(|d| config.write_timeout = d),
    },
    Setting {
        name: "close_timeout",
        unit: "MS",
        default: || values::show_duration(DEFAULT_CLOSE_TIMEOUT),
        help: "How long a peer has to answer a close frame, and then to close its side",
        set: |config, text| values::duration(text).map(|d| config.close_timeout = d),
    },
    Setting {
        name: "max_connections",
        unit: "N",
        default: || "0".to_owned(),
        help: "Connections at a time, more are answered with 503; 0 means no limit",
        set: |config, text| values::number(text).map(|n| config.max_connections = n),
    },
    Setting {
        name: "max_connections_per_ip",
        unit: "N",
        default: || "0".to_owned(),
        help: "Connections at a time from one IP address, more are answered with 429; 0 means no limit",
        set: |config, text| values::number(text).map(|n| config.max_connections_per_ip = n),
    },
    Setting {
        name: "max_outbox_bytes",
        unit: "BYTES",
        default: || values::show_size(DEFAULT_MAX_OUTBOX_BYTES),
        help: "Bytes that may wait for one connection; then reading pauses and pushes follow slow_consumer",
        set: |config, text| values::size(text).map(|n| config.max_outbox_bytes = n),
    },
    Setting {
        name: "slow_consumer",
        unit: "close|drop-new|drop-old",
        default: || SlowConsumer::Close.to_string(),
        help: "What happens to a push that finds the outbox full: close the connection with 1008, drop the push, or drop the oldest waiting",
        set: |config, text| values::policy(text).map(|policy| config.slow_consumer = policy),
    },
    Setting {
        name: "room_policies",
        unit: "ROOM=POLICY,…",
        default: String::new,
        help: "Rooms whose pushes follow another policy than slow_consumer",
        set: |config, text| {
            config.room_policies = values::pairs(text, values::policy)?;
            Ok(())
        },
    },
    Setting {
        name: "push_merge",
        unit: "MS",
        default: || "0".to_owned(),
        help: "Pushes to the same connection gather for up to this time and leave together; 0 means that they leave at once",
        set: |config, text| values::duration(text).map(|d| config.push_merge = d),
    },
    Setting {
        name: "push_merge_bytes",
        unit: "BYTES",
        default: || values::show_size(DEFAULT_PUSH_MERGE_BYTES),
        help: "What gathers for one connection leaves once it has as many bytes",
        set: |config, text| values::size(text).map(|n| config.push_merge_bytes = n),
    },
    Setting {
        name: "max_rooms_per_connection",
        unit: "N",
        default: || DEFAULT_MAX_ROOMS_PER_CONNECTION.to_string(),
        help: "Rooms that one connection may be in; 0 means no limit",
        set: |config, text| values::number(text).map(|n| config.max_rooms_per_connection = n),
    },
    Setting {
        name: "max_mailbox_bytes",
        unit: "BYTES",
        default: || values::show_size(DEFAULT_MAX_MAILBOX_BYTES),
        help: "Bytes of calls from other threads that may wait for one shard; then calls return Backpressure",
        set: |config, text| values::size(text).map(|n| config.max_mailbox_bytes = n),
    },
    Setting {
        name: "drain_timeout",
        unit: "MS",
        default: || values::show_duration(DEFAULT_DRAIN_TIMEOUT),
        help: "How long the end of the server waits for what is queued before it cuts",
        set: |config, text| values::duration(text).map(|d| config.drain_timeout = d),
    },
    Setting {
        name: "admin",
        unit: "IP:PORT|off",
        default: || "off".to_owned(),
        help: "Where the admin listener serves the HTTP push API, metrics and the dashboard",
        set: |config, text| {
            config.admin = match text {
                "off" => None,
                _ => {
                    ip_address(text).map_err(|reason| format!("{reason}, or off"))?;
                    Some(text.to_owned())
                }
            };
            Ok(())
        },
    },
    Setting {
        name: "admin_token",
        unit: "TOKEN",
        default: String::new,
        help: "What requests to the admin listener must bear; needed if others than this machine reach it",
        set: |config, text| {
            let token = Token::from(text);
            token.check().map(|()| config.admin_token = token)
        },
    },
];
