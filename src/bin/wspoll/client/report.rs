//! What the client counted, and how it prints it.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The report as `--help` documents it. A test compares the keys with what is printed.
pub(super) const KEYS: &str = "\
Prints one `key: value` a line:
  target            where the connections went
  connections       connections asked for
  connected         connections opened
  failed            connections that could not be opened
  disconnected      opened connections that did not end with our close frame and its answer, both 1000
  sent              messages sent
  received          messages that came back equal
  lost              messages that did not: sent minus received
  wrong             what came that was not the echo waited for
  skipped           messages not sent, as 16 on the same connection had not come back
  pings             pings sent
  pongs             pongs received
  seconds           from the first message to the last
  rate              messages sent per second
  latency_p50_us    median time from handing a message to its connection to its echo, in microseconds
  latency_p99_us    99th percentile of it
  latency_max_us    longest

Exits with 0 if all went well, with 1 if failed, disconnected, lost or wrong is above 0, with 2 if an argument is wrong.";

/// Three digits tell 1.00 ms from 1.01 ms, and keep the histogram at some tens of kilobytes.
const DIGITS: u8 = 3;
/// The longest latency told apart from longer ones, in microseconds: no echo is waited for for that long.
const LONGEST: u64 = 60_000_000;

/// Everything that is counted.
pub(super) struct Report {
    pub(super) target: String,
    pub(super) connections: usize,
    pub(super) connected: usize,
    /// Connections that ended as they should.
    pub(super) closed: usize,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) wrong: u64,
    pub(super) skipped: u64,
    pub(super) pings: u64,
    pub(super) pongs: u64,
    pub(super) elapsed: Duration,
    latency: Histogram<u64>,
}

impl Report {
    pub(super) fn new(target: String, connections: usize) -> Report {
        Report {
            target,
            connections,
            connected: 0,
            closed: 0,
            sent: 0,
            received: 0,
            wrong: 0,
            skipped: 0,
            pings: 0,
            pongs: 0,
            elapsed: Duration::ZERO,
            latency: Histogram::new_with_max(LONGEST, DIGITS).expect("constant bounds are valid"),
        }
    }

    /// Counts an echo that came back as it should.
    pub(super) fn echoed(&mut self, latency: Duration) {
        self.received += 1;
        self.latency.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST));
    }

    fn failed(&self) -> usize {
        self.connections - self.connected
    }

    fn disconnected(&self) -> usize {
        self.connected - self.closed
    }

    fn lost(&self) -> u64 {
        self.sent - self.received
    }

    /// Whether everything was opened, came back and was closed.
    pub(super) fn is_good(&self) -> bool {
        self.failed() == 0 && self.disconnected() == 0 && self.lost() == 0 && self.wrong == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { self.sent as f64 / seconds } else { 0.0 };
        writeln!(f, "target: {}", self.target)?;
        writeln!(f, "connections: {}", self.connections)?;
        writeln!(f, "connected: {}", self.connected)?;
        writeln!(f, "failed: {}", self.failed())?;
        writeln!(f, "disconnected: {}", self.disconnected())?;
        writeln!(f, "sent: {}", self.sent)?;
        writeln!(f, "received: {}", self.received)?;
        writeln!(f, "lost: {}", self.lost())?;
        writeln!(f, "wrong: {}", self.wrong)?;
        writeln!(f, "skipped: {}", self.skipped)?;
        writeln!(f, "pings: {}", self.pings)?;
        writeln!(f, "pongs: {}", self.pongs)?;
        writeln!(f, "seconds: {seconds:.1}")?;
        writeln!(f, "rate: {rate:.1}")?;
        writeln!(f, "latency_p50_us: {}", self.latency.value_at_quantile(0.5))?;
        writeln!(f, "latency_p99_us: {}", self.latency.value_at_quantile(0.99))?;
        writeln!(f, "latency_max_us: {}", self.latency.max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_printed_is_documented_and_no_other() {
        let printed = Report::new("ws://127.0.0.1:1/".to_owned(), 1).to_string();
        let printed: Vec<&str> =
            printed.lines().filter_map(|line| line.split_once(": ")).map(|(key, _)| key).collect();
        let documented: Vec<&str> = KEYS
            .lines()
            .filter(|line| line.starts_with("  "))
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(printed, documented);
    }

    #[test]
    fn the_help_tells_the_real_window() {
        let window = super::super::connection::WINDOW;
        assert!(KEYS.contains(&format!("as {window} on the same connection")));
    }

    #[test]
    fn one_loss_of_any_kind_is_a_failure() {
        let good = || {
            let mut report = Report::new(String::new(), 1);
            (report.connected, report.closed, report.sent) = (1, 1, 1);
            report.echoed(Duration::from_millis(1));
            report
        };
        assert!(good().is_good());
        let losses: [fn(&mut Report); 4] = [
            |report| report.connections += 1,
            |report| report.closed -= 1,
            |report| report.sent += 1,
            |report| report.wrong += 1,
        ];
        for (n, lose) in losses.iter().enumerate() {
            let mut report = good();
            lose(&mut report);
            assert!(!report.is_good(), "loss {n}");
        }
    }
}
