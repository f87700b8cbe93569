//! Where a server can listen beside an IPv4 address: both kinds of IP, Unix sockets, and sockets that it is given.

mod support;

use std::net::{IpAddr, TcpListener};

use support::probe::config;
use support::wire::request;
use support::{Probe, Running, Wire, tools};
use wspoll::{Config, ListenAddr, Response, Server};

fn start(listen: &[&str], adjust: impl FnOnce(&mut Config)) -> wspoll::Result<Server> {
    let adjusted = config(|config| {
        config.listen = listen.iter().map(|item| (*item).to_owned()).collect();
        adjust(config);
    });
    Server::builder().config(adjusted).handler(Probe::echo().recorder().0).start()
}

/// A server that answers a plain request with the address that it comes from.
fn mirror(adjust: impl FnOnce(&mut Config)) -> Running {
    Probe::echo()
        .on_request(|request| Response::new(200).body(request.peer_addr().to_string().into_bytes()))
        .start_with(adjust)
}

/// What the server says of the address that a connection comes from.
fn seen(mut wire: Wire) -> String {
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    String::from_utf8(wire.expect_refusal(200).body).expect("an address")
}

/// Whether there is IPv6 here; a skip if not.
fn has_ipv6() -> bool {
    let bound = TcpListener::bind("[::1]:0");
    if bound.is_err() {
        tools::skip("this system has no IPv6 loopback address");
    }
    bound.is_ok()
}

fn port(server: &Server) -> u16 {
    server.local_addr().port()
}

#[test]
fn both_kinds_of_ip_stand_in_one_list() {
    if !has_ipv6() {
        return;
    }
    let server = start(&["127.0.0.1:0", "[::1]:0", "localhost:0"], |_| {}).expect("a server");
    assert_eq!(server.local_addrs().len(), 3);
    for addr in server.local_addrs() {
        let ListenAddr::Ip(addr) = *addr else { panic!("{addr} is no IP address") };
        Wire::open_at(addr).echo("here");
    }
}

#[test]
fn a_dual_stack_listener_takes_ipv4_and_calls_it_by_its_name() {
    if !has_ipv6() {
        return;
    }
    let server = mirror(|config| {
        config.listen = vec!["[::]:0".to_owned()];
        config.max_connections_per_ip = 1;
    });
    let port = port(&server.server);
    let v4 = Wire::connect(([127, 0, 0, 1], port).into());
    let address = v4.local_addr().to_string();
    assert_eq!(seen(v4), address);
    let v6 = Wire::connect((IpAddr::from(std::net::Ipv6Addr::LOCALHOST), port).into());
    assert!(seen(v6).starts_with("[::1]:"));
    // Each is counted as what it is.
    let _v4 = Wire::open_at(([127, 0, 0, 1], port).into());
    let _v6 = Wire::open_at((IpAddr::from(std::net::Ipv6Addr::LOCALHOST), port).into());
    let mut second = Wire::connect(([127, 0, 0, 1], port).into());
    let _ = second.try_send(request("/", ""));
    assert_eq!(second.answer().status, 429);
}

#[test]
fn ipv6_only_leaves_ipv4_to_others() {
    if !has_ipv6() {
        return;
    }
    let server = start(&["[::]:0"], |config| config.ipv6_only = true).expect("a server");
    let (v4, v6) = (format!("0.0.0.0:{}", port(&server)), format!("[::]:{}", port(&server)));
    drop(TcpListener::bind(&v4).expect("the port is free for IPv4"));
    drop(server);
    let server = start(&[&v4, &v6], |config| config.ipv6_only = true).expect("side by side");
    for addr in [format!("127.0.0.1:{}", port(&server)), format!("[::1]:{}", port(&server))] {
        Wire::open_at(addr.parse().expect("an address")).echo("here");
    }
}

#[test]
fn what_cannot_be_listened_on_is_named_and_nothing_is_left_behind() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address").to_string();
    drop(free);
    let error = start(&[&address, "203.0.113.1:1"], |_| {}).err().expect("not ours");
    assert!(error.to_string().contains("203.0.113.1:1"), "{error}");
    TcpListener::bind(&address).expect("free again");
}

#[cfg(not(unix))]
#[test]
fn what_only_unix_has_is_refused_by_name() {
    for item in ["unix:C:/wspoll.sock", "fd:3", "systemd"] {
        let error = start(&[item], |_| {}).err().expect("refused").to_string();
        assert!(error.contains("listen") && error.contains(item), "{error}");
        assert!(error.contains("on Unix only"), "{error}");
    }
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::{Path, PathBuf};

    use wspoll::{Adopted, Error, PeerAddr};

    use super::*;

    /// A folder of a test's own with a short path; removed with this.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("wsp-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder");
            Folder(folder)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("sock")
        }

        fn listen(&self) -> String {
            format!("unix:{}", self.socket().display())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn open(path: impl AsRef<Path>) -> Wire {
        let mut wire = Wire::connect_unix(path);
        wire.send(request("/", ""));
        assert_eq!(wire.answer().status, 101);
        wire
    }

    fn refusal(listen: &str) -> (Error, String) {
        let error = start(&[listen], |_| {}).err().expect("refused");
        let text = error.to_string();
        assert!(text.contains(listen), "{text}");
        (error, text)
    }

    #[test]
    fn a_unix_socket_is_served_beside_tcp() {
        let folder = Folder::new("served");
        let server = start(&[&folder.listen(), "127.0.0.1:0"], |_| {}).expect("a server");
        let addrs = server.local_addrs();
        assert_eq!(addrs[0], ListenAddr::Unix(folder.socket()));
        assert_eq!(addrs[0].to_string(), folder.listen());
        assert_ne!(server.local_addr().port(), 0, "the first IP address");
        let mut wire = open(folder.socket());
        wire.echo("over a path");
        // Larger than what fits into the socket's buffers at once.
        let long = "x".repeat(60_000);
        for _ in 0..32 {
            wire.echo(&long);
        }
        wire.close(1000);
        Wire::open_at(server.local_addr()).echo("over TCP");
    }

    #[test]
    fn a_unix_peer_has_no_address_and_no_limit_of_one() {
        let folder = Folder::new("peer");
        let server = mirror(|config| {
            config.listen = vec![folder.listen()];
            config.max_connections_per_ip = 1;
            config.max_connections = 3;
        });
        let mut wires: Vec<_> = (0..3).map(|_| open(folder.socket())).collect();
        wires.iter_mut().for_each(|wire| wire.echo("one of three"));
        let mut fourth = Wire::connect_unix(folder.socket());
        let _ = fourth.try_send(request("/", ""));
        assert_eq!(fourth.answer().status, 503);
        drop((wires, fourth));
        support::eventually("free places", || server.server.stats().total.sockets, |n| *n == 0);
        assert_eq!(seen(Wire::connect_unix(folder.socket())), "unix");
    }

    #[test]
    fn its_mode_is_the_one_that_was_set() {
        let folder = Folder::new("mode");
        let mode = || fs::metadata(folder.socket()).expect("the file").permissions().mode() & 0o777;
        let server = start(&[&folder.listen()], |_| {}).expect("a server");
        assert_eq!(mode(), 0o660);
        drop(server);
        let server = start(&[&folder.listen()], |config| config.unix_mode = 0o606);
        assert_eq!(mode(), 0o606);
        drop(server);
        let (_, text) = {
            let error = start(&[&folder.listen()], |config| config.unix_mode = 0o1777);
            let error = error.err().expect("refused");
            let text = error.to_string();
            (error, text)
        };
        assert!(text.starts_with("unix_mode is \"1777\""), "{text}");
    }

    #[test]
    fn its_file_goes_with_the_server() {
        let folder = Folder::new("removed");
        let server = start(&[&folder.listen()], |_| {}).expect("a server");
        assert!(fs::metadata(folder.socket()).expect("the file").file_type().is_socket());
        server.shutdown(std::time::Duration::ZERO);
        assert!(!folder.socket().exists());
    }

    #[test]
    fn a_file_that_has_taken_its_place_stays() {
        let folder = Folder::new("replaced");
        let first = start(&[&folder.listen()], |_| {}).expect("a server");
        fs::remove_file(folder.socket()).expect("removing the first one's file");
        let second = start(&[&folder.listen()], |_| {}).expect("the path is free");
        drop(first);
        open(folder.socket()).echo("the second one's");
        drop(second);
        assert!(!folder.socket().exists());
    }

    #[test]
    fn a_socket_that_nobody_answers_on_is_replaced() {
        let folder = Folder::new("stale");
        // The standard library leaves the file behind, as a process that is killed does.
        drop(UnixListener::bind(folder.socket()).expect("a listener"));
        assert!(folder.socket().exists());
        let _server = start(&[&folder.listen()], |_| {}).expect("a server");
        open(folder.socket()).echo("new");
    }

    #[test]
    fn a_socket_that_somebody_answers_on_is_left_alone() {
        let folder = Folder::new("live");
        let first = start(&[&folder.listen()], |_| {}).expect("a server");
        let (error, _) = refusal(&folder.listen());
        let Error::Io(error) = error else { panic!("{error}") };
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        open(folder.socket()).echo("still the first");
        drop(first);
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = Folder::new("file");
        fs::write(folder.socket(), "precious").expect("a file");
        let (_, text) = refusal(&folder.listen());
        assert!(text.contains("no socket"), "{text}");
        assert_eq!(fs::read_to_string(folder.socket()).expect("the file"), "precious");
        fs::remove_file(folder.socket()).expect("removing it");
        let elsewhere = folder.0.join("elsewhere");
        drop(UnixListener::bind(&elsewhere).expect("a listener"));
        std::os::unix::fs::symlink(&elsewhere, folder.socket()).expect("a link");
        let (_, text) = refusal(&folder.listen());
        assert!(text.contains("no socket"), "{text}");
        assert!(elsewhere.exists(), "what a link points to is left alone too");
    }

    #[test]
    fn paths_that_cannot_be_are_refused_and_named() {
        let long = format!("unix:/tmp/{}", "p".repeat(200));
        let (error, text) = refusal(&long);
        assert!(matches!(error, Error::InvalidSetting(_)) && text.contains("too long"), "{text}");
        refusal("unix:");
        let (error, _) = refusal("unix:/nowhere/at/all/sock");
        let Error::Io(error) = error else { panic!("{error}") };
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_name_needs_no_file() {
        let name = format!("@wspoll-test-{}", std::process::id());
        let server = start(&[&format!("unix:{name}")], |_| {}).expect("a server");
        assert_eq!(server.local_addrs(), [ListenAddr::Unix(PathBuf::from(&name))]);
        open(&name).echo("by name");
    }

    #[test]
    fn a_descriptor_is_listened_on_and_stays_its_owners() {
        let folder = Folder::new("fd");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let unix = UnixListener::bind(folder.socket()).expect("a listener");
        let address = tcp.local_addr().expect("its address");
        let items = [tcp.as_raw_fd(), unix.as_raw_fd()].map(|fd| format!("fd:{fd}"));
        let items = items.each_ref().map(String::as_str);
        for _ in 0..2 {
            let server = start(&items, |_| {}).expect("a server");
            let addrs = [ListenAddr::Ip(address), ListenAddr::Unix(folder.socket())];
            assert_eq!(server.local_addrs(), addrs);
            Wire::open_at(address).echo("a port of the host's");
            open(folder.socket()).echo("a path of the host's");
        }
        assert!(folder.socket().exists(), "the file is the host's");
        assert_eq!(tcp.local_addr().expect("still open"), address);
    }

    #[test]
    fn descriptors_that_cannot_be_listened_on_are_refused() {
        let file = fs::File::open("/dev/null").expect("/dev/null");
        let (one, _other) = UnixStream::pair().expect("a pair");
        let unbound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let unbound = unbound.expect("a socket");
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let numbers =
            [file.as_raw_fd(), one.as_raw_fd(), unbound.as_raw_fd(), datagrams.as_raw_fd(), 99_999];
        for number in numbers {
            refusal(&format!("fd:{number}"));
        }
        refusal("systemd");
    }

    #[test]
    fn a_unix_stream_of_the_hosts_is_adopted() {
        let server = start(&[], |config| config.max_connections_per_ip = 1).expect("a server");
        for _ in 0..2 {
            let (ours, theirs) = UnixStream::pair().expect("a pair");
            server.handle().adopt(Adopted::request(theirs)).expect("it is taken");
            let mut wire = Wire::over(ours);
            wire.send(request("/", ""));
            assert_eq!(wire.answer().status, 101);
            wire.echo("adopted");
        }
        let (datagram, _other) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
        let refused = server.handle().adopt(Adopted::request(datagram));
        assert!(matches!(refused, Err(Error::Io(_))), "{refused:?}");
    }

    #[test]
    fn a_handler_and_a_hosted_shard_know_a_unix_peer() {
        let folder = Folder::new("hosted");
        let mut config = config(|_| {});
        config.listen = vec![folder.listen()];
        let (server, mut shards) =
            Server::builder().config(config).start_hosted().expect("a server");
        let mut wire = Wire::connect_unix(folder.socket());
        wire.send(request("/", ""));
        let conn = loop {
            let (events, outlet) = shards[0].turn(Some(support::PATIENCE)).expect("a turn");
            let opened = events.iter().find_map(|event| match event {
                wspoll::Event::Open { conn } => Some(conn),
                _ => None,
            });
            if let Some(conn) = opened {
                assert_eq!(outlet.peer_addr(conn), Some(PeerAddr::Unix));
                break conn;
            }
        };
        assert!(server.handle().is_alive(conn));
    }
}
