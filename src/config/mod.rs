//! What a server can be told: every setting, its default and the reason for it.
//!
//! [`Config::SETTINGS`] is the one list of them. The command line, the configuration file, the environment and other
//! languages set them by name through [`Config::set`]; README's table is compared with it by a test.

mod endpoint;
mod settings;
mod token;
mod trusted;
mod values;

pub(crate) use endpoint::{Endpoint, endpoint, ip_address};
pub use settings::Setting;
pub use token::Token;
pub(crate) use trusted::{TrustedProxy, trusted_proxy};

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};

/// Only this machine can connect until somebody says otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8000";
/// Who may connect to a Unix socket: its user and its group, such as that of a proxy.
pub const DEFAULT_UNIX_MODE: u32 = 0o660;
/// The largest message taken: what the peers' defaults cluster around, and a bound for memory per connection.
pub const DEFAULT_MAX_MESSAGE_SIZE: usize = 64 * 1024;
/// The largest value of [`Config::max_message_size`] and [`Config::max_outbox_bytes`]: lengths stay in 31 bits, and in 29
/// where addresses have 32, so that the sum of both still is a length.
pub const LARGEST_MESSAGE_SIZE: usize = if usize::BITS < 64 { 0x1fff_ffff } else { 0x7fff_ffff };
/// A request head of 8 KiB holds every browser's cookies; most servers stop there.
pub const DEFAULT_MAX_HANDSHAKE_BYTES: usize = 8 * 1024;
/// Less than this no browser's request fits into.
pub const LEAST_HANDSHAKE_BYTES: usize = 128;
/// What one connection that has not been let in can make us keep.
pub const LARGEST_HANDSHAKE_BYTES: usize = 64 * 1024;
/// Long enough for a phone on a bad network, short enough that silent clients do not gather.
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Below the 60 s after which many proxies and NATs forget a silent connection, and 9/10 of the pong timeout.
pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(54);
/// A peer of which nothing was heard for this long is gone.
pub const DEFAULT_PONG_TIMEOUT: Duration = Duration::from_secs(60);
/// A peer that takes not one byte for this long is stuck.
pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the peer has to answer a close frame, and then to close its side.
pub const DEFAULT_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Holds a burst of sixteen of the largest default messages, and bounds what a slow reader costs.
pub const DEFAULT_MAX_OUTBOX_BYTES: usize = 1024 * 1024;
/// Holds a broadcast to every connection of a busy shard; more means that the shard cannot keep up.
pub const DEFAULT_MAX_MAILBOX_BYTES: usize = 64 * 1024 * 1024;
/// With the longest names these rooms cost 1 MiB, as much as the outbox of a connection may hold.
pub const DEFAULT_MAX_ROOMS_PER_CONNECTION: usize = 1024;
/// What fills about a dozen packets: from here on, sending costs more for its bytes than for the call.
pub const DEFAULT_PUSH_MERGE_BYTES: usize = 16 * 1024;
/// What waits longer than a minute is no longer being merged, but late.
pub const LONGEST_PUSH_MERGE: Duration = Duration::from_secs(60);
/// Longest name of a room in bytes.
pub const LONGEST_ROOM_NAME: usize = 1024;
/// Rooms that can have a policy of their own: each shard keeps a list of them.
pub const MOST_ROOM_POLICIES: usize = 1024;
/// How long a drain waits for outboxes before it cuts.
pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that the kernel completes before they are accepted: a burst of reconnecting clients.
pub const DEFAULT_BACKLOG: u32 = 4096;
/// Shard numbers take ten bits of a [`ConnId`](crate::ConnId).
pub const MAX_SHARDS: usize = 1024;

/// Whose pages may connect: the check of the handshake's `Origin` header (RFC 6455 §10.2).
///
/// A request without that header does not come from a page and passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Pages of the host and port that the request's `Host` header names.
    Same,
    /// Every page. The handler may still refuse in [`on_upgrade`](crate::Handler::on_upgrade).
    Any,
    /// Pages of these origins: `https://example.com`, `https://*.example.com`, or a bare `example.com`.
    List(Vec<String>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Same => f.write_str("same"),
            Origin::Any => f.write_str("any"),
            Origin::List(list) => f.write_str(&list.join(",")),
        }
    }
}

/// In which header of a request trusted proxies say where it comes from.
///
/// One of them, since a proxy that writes one passes on the other as its client made it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// In none.
    Off,
    /// `X-Forwarded-For: CLIENT, PROXY`, which most proxies write.
    XForwardedFor,
    /// `Forwarded: for=CLIENT, for=PROXY` (RFC 7239).
    Forwarded,
}

impl fmt::Display for ForwardedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ForwardedHeader::Off => "off",
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        })
    }
}

/// What happens to a push for which a connection's outbox has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlowConsumer {
    /// The connection is closed with 1008; what it had not read is dropped.
    Close,
    /// The new message is dropped.
    DropNew,
    /// The oldest whole messages that are not on the wire yet make room.
    DropOld,
}

impl fmt::Display for SlowConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SlowConsumer::Close => "close",
            SlowConsumer::DropNew => "drop-new",
            SlowConsumer::DropOld => "drop-old",
        })
    }
}

/// Everything a server can be told. [`Config::default`] is meant for use.
///
/// [`validate`](Config::validate) is called when the server starts, so fields may be set in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What to listen on; several of these, mixed as you like. Empty: nothing is listened on, connections are handed
    /// over by the host.
    ///
    /// | item | what |
    /// |---|---|
    /// | `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000` | an address; port 0 takes a free one |
    /// | `0.0.0.0:8000` | every IPv4 address |
    /// | `[::]:8000` | every address, IPv4 too unless [`ipv6_only`](Config::ipv6_only) |
    /// | `unix:/run/wspoll.sock` | a Unix socket with [`unix_mode`](Config::unix_mode). A socket file on which nobody answers is replaced, anything else there is an error. The file is removed at the end of the server if it is still its own |
    /// | `unix:@name` | a name in Linux's abstract namespace: no file, no mode |
    /// | `fd:3` | a socket of this process, inherited or made by the host. The descriptor is duplicated and stays its owner's |
    /// | `systemd`, `systemd:name` | the sockets that socket activation has passed on, all or those of one name |
    ///
    /// The last four are Unix's; elsewhere they are an error.
    pub listen: Vec<String>,
    /// `[::]` takes no IPv4 connections, so that `0.0.0.0` may be listened on beside it. The system's own default does not
    /// matter.
    pub ipv6_only: bool,
    /// Permissions of Unix sockets, at most `0o777`. Whoever may write to the file may connect.
    pub unix_mode: u32,
    /// Proxies that are believed about where a connection comes from: addresses, networks (`10.0.0.0/8`), and `unix` for
    /// whoever comes through a Unix socket. Their own addresses do not count against
    /// [`max_connections_per_ip`](Config::max_connections_per_ip); those of their clients do.
    pub trusted_proxies: Vec<String>,
    /// Every connection begins with a header of the PROXY protocol, version 1 or 2, which names the client. Needs
    /// [`trusted_proxies`](Config::trusted_proxies); connections from elsewhere are answered with 403, one without a valid
    /// header is cut. Where the header names no client (`LOCAL`, `UNKNOWN`, no TCP), the connection is the proxy's own.
    /// Sockets that the host hands over have no header.
    pub proxy_protocol: bool,
    /// The header in which requests from [`trusted_proxies`](Config::trusted_proxies) name their clients. It is read from
    /// its end: the first address there that is not trusted is the client's. What is no address ends the search, with the
    /// last proxy that was found.
    pub forwarded_header: ForwardedHeader,
    /// Event loops; 0 means one per core.
    pub shards: usize,
    /// Connections the kernel holds for us before they are accepted.
    pub backlog: u32,
    /// Largest message in bytes, fragments added up. A larger one closes with 1009 (RFC 6455 §7.4.1).
    pub max_message_size: usize,
    /// Fragments are handed to [`on_fragment`](crate::Handler::on_fragment) as they come instead of being put together.
    pub stream_fragments: bool,
    /// Whose pages may connect.
    pub origin: Origin,
    /// Subprotocols the server speaks, most wanted first (RFC 6455 §1.9).
    pub subprotocols: Vec<String>,
    /// Largest request head in bytes; a larger one is answered with 431.
    pub max_handshake_bytes: usize,
    /// From accept to the end of the handshake; then 408. Zero: no limit.
    pub handshake_timeout: Duration,
    /// A ping is sent when nothing came from the peer for this long, and again after as long (RFC 6455 §5.5.2). Zero:
    /// never.
    pub ping_interval: Duration,
    /// A connection on which nothing came from the peer for this long, pongs included, is dead (1006). Zero: no limit.
    pub pong_timeout: Duration,
    /// A connection without a message in either direction for this long is closed with 1001. Zero: no limit.
    pub idle_timeout: Duration,
    /// A peer that takes no byte of what is queued for it for this long is cut off (1006). Zero: no limit.
    pub write_timeout: Duration,
    /// How long the peer has to answer our close frame, and then to close its side of the connection.
    pub close_timeout: Duration,
    /// Connections at a time; more are answered with 503. 0: no limit.
    pub max_connections: usize,
    /// Connections at a time from one IP address; more are answered with 429. 0: no limit.
    pub max_connections_per_ip: usize,
    /// Bytes that may wait for one connection. Beyond it reading pauses and pushes follow
    /// [`slow_consumer`](Config::slow_consumer).
    pub max_outbox_bytes: usize,
    /// What happens to a push that finds the outbox full.
    pub slow_consumer: SlowConsumer,
    /// Rooms whose pushes follow another policy than [`slow_consumer`](Config::slow_consumer), by name. See also
    /// [`set_room_policy`](crate::ServerHandle::set_room_policy).
    pub room_policies: Vec<(String, SlowConsumer)>,
    /// Pushes to the same connection gather for up to this time before they are sent together; a reply or a control
    /// frame takes what has gathered with it, in order. Zero: they leave at the end of the turn.
    pub push_merge: Duration,
    /// What gathers for one connection is sent once it has as many bytes.
    pub push_merge_bytes: usize,
    /// Rooms that one connection may be in. 0: no limit.
    pub max_rooms_per_connection: usize,
    /// Bytes of commands from other threads that may wait for one shard; beyond it calls return
    /// [`Error::Backpressure`].
    pub max_mailbox_bytes: usize,
    /// How long a drain waits for outboxes before it cuts, where the caller does not say.
    pub drain_timeout: Duration,
    /// Where the admin listener serves the HTTP push API, metrics and the dashboard, `IP:PORT`; `None`: nowhere. Needs
    /// the feature `admin`.
    pub admin: Option<String>,
    /// What a request to the admin listener must bear. Needed where [`admin`](Config::admin) is no loopback address.
    pub admin_token: Token,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: vec![DEFAULT_LISTEN.to_owned()],
            ipv6_only: false,
            unix_mode: DEFAULT_UNIX_MODE,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            forwarded_header: ForwardedHeader::Off,
            shards: 0,
            backlog: DEFAULT_BACKLOG,
            max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            stream_fragments: false,
            origin: Origin::Same,
            subprotocols: Vec::new(),
            max_handshake_bytes: DEFAULT_MAX_HANDSHAKE_BYTES,
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            ping_interval: DEFAULT_PING_INTERVAL,
            pong_timeout: DEFAULT_PONG_TIMEOUT,
            idle_timeout: Duration::ZERO,
            write_timeout: DEFAULT_WRITE_TIMEOUT,
            close_timeout: DEFAULT_CLOSE_TIMEOUT,
            max_connections: 0,
            max_connections_per_ip: 0,
            max_outbox_bytes: DEFAULT_MAX_OUTBOX_BYTES,
            slow_consumer: SlowConsumer::Close,
            room_policies: Vec::new(),
            push_merge: Duration::ZERO,
            push_merge_bytes: DEFAULT_PUSH_MERGE_BYTES,
            max_rooms_per_connection: DEFAULT_MAX_ROOMS_PER_CONNECTION,
            max_mailbox_bytes: DEFAULT_MAX_MAILBOX_BYTES,
            drain_timeout: DEFAULT_DRAIN_TIMEOUT,
            admin: None,
            admin_token: Token::default(),
        }
    }
}

impl Config {
    /// Every setting, in the order in which a reader wants to meet them.
    pub const SETTINGS: &'static [Setting] = settings::ALL;

    /// Sets one setting by its name, from text.
    ///
    /// Durations are `10s`, `500ms`, `1m` or a number of milliseconds; sizes are `64KiB`, `1MiB`, `1GiB` or a number
    /// of bytes; lists are separated by commas. Names are as for [`setting`](Self::setting).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSetting`] names the setting and the value, also when there is no setting of that name (the
    /// field is then `setting`). The configuration is unchanged.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let setting = Config::setting(name)
            .ok_or_else(|| Error::setting("setting", name, "no setting has this name"))?;
        (setting.set)(self, value.trim()).map_err(|reason| {
            // An error ends in logs, where a token must not stand.
            let shown = if setting.name == "admin_token" { token::HIDDEN } else { value };
            Error::setting(setting.name, shown, reason)
        })
    }

    /// The setting of this name. Dashes and underscores are the same, and a time may be named with its unit
    /// (`push_merge_ms`).
    pub fn setting(name: &str) -> Option<&'static Setting> {
        let wanted = name.replace('-', "_");
        let time = wanted.strip_suffix("_ms").unwrap_or(&wanted);
        Config::SETTINGS
            .iter()
            .find(|setting| setting.name == wanted || setting.is_time() && setting.name == time)
    }

    /// Checks each setting by itself and against the others.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSetting`] names the first setting that cannot be and its value.
    pub fn validate(&self) -> Result<()> {
        let range = |field, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(Error::setting(field, value, format!("must be {least} to {most}")))
            }
        };
        range("shards", self.shards, 0, MAX_SHARDS)?;
        range("backlog", self.backlog as usize, 1, i32::MAX as usize)?;
        range("max_message_size", self.max_message_size, 0, LARGEST_MESSAGE_SIZE)?;
        let (least, most) = (LEAST_HANDSHAKE_BYTES, LARGEST_HANDSHAKE_BYTES);
        range("max_handshake_bytes", self.max_handshake_bytes, least, most)?;
        range("max_outbox_bytes", self.max_outbox_bytes, 1, LARGEST_MESSAGE_SIZE)?;
        range("max_mailbox_bytes", self.max_mailbox_bytes, 1024, usize::MAX)?;
        range("push_merge_bytes", self.push_merge_bytes, 1, LARGEST_MESSAGE_SIZE)?;
        if self.push_merge > LONGEST_PUSH_MERGE {
            let value = format!("{}ms", self.push_merge.as_millis());
            return Err(Error::setting("push_merge", value, "must be at most a minute"));
        }
        self.validate_room_policies()?;
        for address in &self.listen {
            endpoint(address).map_err(|reason| Error::setting("listen", address, reason))?;
        }
        if self.unix_mode > 0o777 {
            let value = values::show_mode(self.unix_mode);
            return Err(Error::setting("unix_mode", value, "must be 0000 to 0777"));
        }
        for proxy in &self.trusted_proxies {
            trusted_proxy(proxy)
                .map_err(|reason| Error::setting("trusted_proxies", proxy, reason))?;
        }
        if self.trusted_proxies.is_empty() {
            let reason = "needs trusted_proxies: nobody else is believed";
            if self.proxy_protocol {
                return Err(Error::setting("proxy_protocol", "true", reason));
            }
            if self.forwarded_header != ForwardedHeader::Off {
                return Err(Error::setting("forwarded_header", self.forwarded_header, reason));
            }
        }
        for protocol in &self.subprotocols {
            values::token(protocol)
                .map_err(|reason| Error::setting("subprotocols", protocol, reason))?;
        }
        if let Origin::List(list) = &self.origin {
            for origin in list {
                values::origin(origin)
                    .map_err(|reason| Error::setting("origin", origin, reason))?;
            }
        }
        if self.close_timeout.is_zero() {
            let reason = "must be above 0: a peer could hold a closing connection for ever";
            return Err(Error::setting("close_timeout", "0", reason));
        }
        let (ping, pong) = (self.ping_interval, self.pong_timeout);
        if !pong.is_zero() && (ping.is_zero() || ping >= pong) {
            let value = format!("{}ms", pong.as_millis());
            let reason =
                format!("must be longer than ping_interval ({}ms), or 0", ping.as_millis());
            return Err(Error::setting("pong_timeout", value, reason));
        }
        self.validate_admin()
    }

    fn validate_admin(&self) -> Result<()> {
        self.admin_token
            .check()
            .map_err(|reason| Error::setting("admin_token", token::HIDDEN, reason))?;
        let Some(admin) = &self.admin else { return Ok(()) };
        if !cfg!(feature = "admin") {
            let reason = "must be off: this build has no admin listener (feature `admin`)";
            return Err(Error::setting("admin", admin, reason));
        }
        let address = ip_address(admin).map_err(|reason| Error::setting("admin", admin, reason))?;
        if !address.ip().to_canonical().is_loopback() && !self.admin_token.is_set() {
            let reason =
                format!("must be set when admin ({admin}) can be reached from other machines");
            return Err(Error::setting("admin_token", "", reason));
        }
        Ok(())
    }
}

impl Config {
    fn validate_room_policies(&self) -> Result<()> {
        let refuse =
            |value: &str, reason: String| Err(Error::setting("room_policies", value, reason));
        if self.room_policies.len() > MOST_ROOM_POLICIES {
            let value = format!("{} rooms", self.room_policies.len());
            return refuse(&value, format!("must be at most {MOST_ROOM_POLICIES} rooms"));
        }
        let mut names = HashSet::new();
        for (room, _) in &self.room_policies {
            if room.len() > LONGEST_ROOM_NAME {
                return refuse(room, format!("a name has at most {LONGEST_ROOM_NAME} bytes"));
            }
            if !names.insert(room) {
                return refuse(room, "the room is named twice".to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        Config::default().validate().expect("the default configuration is valid");
    }

    #[test]
    fn each_setting_takes_its_own_default_as_text() {
        for setting in Config::SETTINGS {
            let mut config = Config::default();
            let text = (setting.default)();
            config.set(setting.name, &text).unwrap_or_else(|e| panic!("{}: {e}", setting.name));
            assert_eq!(config, Config::default(), "{} = {text}", setting.name);
        }
    }

    #[test]
    fn a_time_may_be_named_with_its_unit() {
        let mut config = Config::default();
        for (name, value) in
            [("push_merge_ms", "5"), ("push-merge", "5ms"), ("push-merge-ms", "5ms")]
        {
            config.push_merge = Duration::ZERO;
            config.set(name, value).expect(name);
            assert_eq!(config.push_merge, Duration::from_millis(5), "{name}");
        }
        assert!(
            Config::setting("shards_ms").is_none() && Config::setting("push_merge_s").is_none()
        );
    }

    #[test]
    fn rooms_have_policies_by_name() {
        let mut config = Config::default();
        config.set("room_policies", "news=drop-old, a=b=close,x=drop_new").expect("three rooms");
        let policies = [SlowConsumer::DropOld, SlowConsumer::Close, SlowConsumer::DropNew];
        let expected = ["news", "a=b", "x"].map(str::to_owned).into_iter().zip(policies);
        assert_eq!(config.room_policies, expected.collect::<Vec<_>>());
        config.validate().expect("valid");
        for (rooms, wrong) in [("a=close,a=drop-new", "twice"), (&"a".repeat(1025), "1024 bytes")] {
            let text =
                if rooms.contains('=') { rooms.to_owned() } else { format!("{rooms}=close") };
            config.set("room_policies", &text).expect("well formed");
            let error = config.validate().expect_err("refused").to_string();
            assert!(error.starts_with("room_policies is") && error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_wrong_value_is_named_and_changes_nothing() {
        for (name, value) in [
            ("room_policies", "news"),
            ("room_policies", "news=wait"),
            ("push_merge", "soon"),
            ("shards", "many"),
            ("max-message-size", "64 parsecs"),
            ("origin", ""),
            ("slow_consumer", "wait"),
            ("ping_interval", "-1s"),
            ("stream_fragments", "perhaps"),
            ("listen", "8000"),
            ("ipv6_only", "dual"),
            ("unix_mode", "rw-rw----"),
            ("trusted_proxies", "10.0.0.0/33"),
            ("proxy_protocol", "v2"),
            ("forwarded_header", "x-real-ip"),
            ("admin", "6060"),
        ] {
            let mut config = Config::default();
            let error = config.set(name, value).expect_err("refused").to_string();
            assert!(error.contains(&name.replace('-', "_")) && error.contains(value), "{error}");
            assert_eq!(config, Config::default());
        }
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        for (name, value) in [("proxy_protocol", "true"), ("forwarded_header", "forwarded")] {
            let mut config = Config::default();
            config.set(name, value).expect("valid by itself");
            let error = config.validate().expect_err("refused").to_string();
            assert!(error.starts_with(&format!("{name} is {value:?}: needs trusted")), "{error}");
            config.set("trusted-proxies", "10.0.0.0/8, ::1, unix").expect("valid");
            config.validate().expect("valid together");
        }
        let config = Config { ping_interval: Duration::from_secs(60), ..Config::default() };
        let error = config.validate().expect_err("refused").to_string();
        assert!(error.starts_with(r#"pong_timeout is "60000ms""#), "{error}");
    }

    #[test]
    fn the_admin_listener_is_for_others_only_with_a_token() {
        let config = |admin: &str, token: &str| Config {
            admin: Some(admin.to_owned()),
            admin_token: Token::from(token),
            ..Config::default()
        };
        if cfg!(feature = "admin") {
            for (admin, token) in
                [("127.0.0.2:0", ""), ("[::1]:0", ""), ("0.0.0.0:0", "secret"), ("[::]:0", "s")]
            {
                config(admin, token).validate().unwrap_or_else(|e| panic!("{admin}: {e}"));
            }
            for admin in ["0.0.0.0:0", "[::]:0", "192.0.2.1:6060", "[::ffff:192.0.2.1]:6060"] {
                let error = config(admin, "").validate().expect_err("refused").to_string();
                assert!(error.starts_with("admin_token is \"\""), "{error}");
                assert!(error.contains(admin), "{error}");
            }
        } else {
            let error = config("127.0.0.1:0", "").validate().expect_err("refused").to_string();
            assert!(error.starts_with("admin is \"127.0.0.1:0\""), "{error}");
        }
    }

    #[test]
    fn no_error_and_no_debug_output_shows_a_token() {
        let mut config = Config::default();
        let error = config.set("admin_token", "my secret").expect_err("refused").to_string();
        assert!(error.starts_with("admin_token is") && !error.contains("secret"), "{error}");
        config.set("admin-token", "hunter2").expect("a token");
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    }
}
