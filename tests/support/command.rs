//! The built `wspoll` command as a process whose lines, signals and exit code a test sees.
//!
//! Its memory and files are not those of other tests. Tests that use it need the feature `cli`, by which cargo builds it.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use super::PATIENCE;

/// ERROR_INTERNAL_ERROR of Windows. In two runs of all tests Wine 8 gave it once for a process to be started; so a start is
/// tried twice there.
const INTERNAL_ERROR: i32 = 1359;

/// A running command. Dropping it kills it.
pub struct Program {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// How a command ended, and what it had said by then that no test had read.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// Starts `wspoll` with no variables of ours but `variables`, and without an admin listener if none is asked for: its usual
    /// port is one for all tests.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Program {
        Program::spawn(&mut Program::command(arguments, variables))
    }

    /// The command that [`start`](Self::start) runs.
    pub fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wspoll"));
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("WSPOLL_") {
                command.env_remove(name);
            }
        }
        command.env("WSPOLL_ADMIN", "off");
        command.args(arguments).envs(variables.iter().copied());
        command
    }

    /// Starts any program, so that a test sees what it says.
    pub fn spawn(command: &mut Command) -> Program {
        Program::spawn_with_input(command, Stdio::null())
    }

    /// The same, with something for it to read, or a socket to inherit.
    pub fn spawn_with_input(command: &mut Command, input: Stdio) -> Program {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut started = command.spawn();
        if started
            .as_ref()
            .is_err_and(|e| cfg!(windows) && e.raw_os_error() == Some(INTERNAL_ERROR))
        {
            started = command.spawn();
        }
        let mut child = started.expect("starting the program");
        let stdout = Lines::of(child.stdout.take().expect("its stdout"));
        let stderr = Lines::of(child.stderr.take().expect("its stderr"));
        Program { child, stdout, stderr }
    }

    /// The next line of stdout.
    pub fn line(&self) -> String {
        self.stdout
            .next()
            .unwrap_or_else(|| panic!("no line on stdout; stderr: {}", self.stderr.rest()))
    }

    /// The first line of stderr, from the next on, that contains `text`.
    pub fn logged(&self, text: &str) -> String {
        loop {
            let line =
                self.stderr.next().unwrap_or_else(|| panic!("no line with {text:?} on stderr"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends a signal by its name (`TERM`).
    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().expect("running kill");
        assert!(status.success(), "kill -s {name} {pid}");
    }

    /// Presses Ctrl-Break for it, which must be the first of a group of processes. False without a console.
    ///
    /// Ctrl-C cannot be pressed for one group alone.
    #[cfg(windows)]
    #[allow(unsafe_code)]
    pub fn press_break(&self) -> bool {
        use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
        // SAFETY: takes two numbers.
        unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.child.id()) != 0 }
    }

    /// Kills it, as a machine that fails would.
    pub fn kill(&mut self) {
        self.child.kill().expect("killing the program");
    }

    /// Kills it and waits until its children, which share its stderr, have gone too.
    pub fn kill_all(&mut self) {
        let _ = self.child.kill();
        while self.stderr.0.recv_timeout(PATIENCE).is_ok() {}
    }

    /// Waits until it has ended by itself.
    pub fn end(mut self) -> Ended {
        // Both pipes end with the process, so there is a deadline on this, which `wait` has not.
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        let code = self.child.wait().expect("waiting for the program").code();
        Ended { code, stdout, stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server on a free port of this machine.
pub struct Server {
    pub program: Program,
    pub addr: SocketAddr,
    /// What it said when it listened.
    pub line: String,
}

impl Server {
    /// Starts it with `arguments`, and waits until it listens.
    pub fn start(arguments: &[&str]) -> Server {
        let listen = ["--listen", "127.0.0.1:0"];
        Server::listening(Program::start(&[&listen[..], arguments].concat(), &[]))
    }

    /// Waits until `program` listens.
    pub fn listening(program: Program) -> Server {
        let line = program.line();
        let addr = line
            .split_once("http://")
            .and_then(|(_, rest)| rest.split([' ', ',']).next()?.parse().ok())
            .unwrap_or_else(|| panic!("no address in {line:?}"));
        Server { program, addr, line }
    }

    pub fn pid(&self) -> u32 {
        self.program.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.program.child.try_wait().expect("its state").is_none()
    }
}

/// The lines of a pipe, read by a thread so that a test can wait with a deadline and the program never on a full pipe.
struct Lines(Receiver<String>);

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Lines {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Lines(lines)
    }

    /// The next line, or none at the end of the pipe.
    fn next(&self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
        }
    }

    fn rest(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut rest = String::new();
        while let Some(line) = self.next() {
            rest += &line;
            rest.push('\n');
            assert!(Instant::now() < deadline, "no end within {PATIENCE:?}, but lines: {rest}");
        }
        rest
    }
}
