//! The built `wspoll` command as a process of its own: its memory and files are not those of other tests.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use super::{PATIENCE, tools};

pub struct Wspoll {
    pub addr: SocketAddr,
    child: Child,
}

impl Wspoll {
    /// Starts `wspoll` on a free port with `arguments`, and waits until it listens. `None`, with a reason printed, in a
    /// build without the command.
    pub fn start(arguments: &[&str]) -> Option<Wspoll> {
        let Some(program) = option_env!("CARGO_BIN_EXE_wspoll") else {
            tools::skip("the command is not built: the feature `cli` is off");
            return None;
        };
        let mut command = Command::new(program);
        // Its settings may come from the environment, which is the test's here.
        for (name, _) in env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("WSPOLL_"))
        {
            command.env_remove(name);
        }
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starting wspoll");
        let stdout = child.stdout.take().expect("its output");
        let (sender, lines) = mpsc::channel();
        // Reads to the end, so that the command never blocks on a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let line = lines.recv_timeout(PATIENCE).expect("a line that says where it listens");
        let addr = line
            .split_once("http://")
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("no address in {line:?}"));
        Some(Wspoll { addr, child })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }
}

impl Drop for Wspoll {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
