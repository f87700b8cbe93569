//! `GET /debug/profile`: where the process spends its CPU time, sampled for some seconds.

use hyper::StatusCode;

use super::reply::{Refusal, Reply};
use super::router::{self, State};

const DEFAULT_SECONDS: u64 = 10;
/// A longer one is several.
const MAX_SECONDS: u64 = 60;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Svg,
    Pprof,
}

/// Takes a profile.
pub(super) async fn take(state: &State, query: &str) -> Result<Reply, Refusal> {
    let [seconds, format] = router::parameters(query, ["seconds", "format"])?;
    let seconds = match seconds {
        None => DEFAULT_SECONDS,
        Some(text) => match text.parse() {
            Ok(seconds) if (1..=MAX_SECONDS).contains(&seconds) => seconds,
            _ => {
                return Err(Refusal::field("seconds", text, format!("must be 1 to {MAX_SECONDS}")));
            }
        },
    };
    let format = match format.as_deref() {
        None | Some("svg") => Format::Svg,
        Some("pprof") => Format::Pprof,
        Some(other) => return Err(Refusal::field("format", other, "must be svg or pprof")),
    };
    // Given back also when the client leaves, which drops this future.
    let Some(_turn) = Turn::take(state) else {
        let reason = "a profile is being taken already; there is one at a time";
        return Err(Refusal::new(StatusCode::CONFLICT, reason));
    };
    sampler::take(seconds, format).await
}

struct Turn<'s>(&'s State);

impl Turn<'_> {
    fn take(state: &State) -> Option<Turn<'_>> {
        (!state.profiling.replace(true)).then_some(Turn(state))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.profiling.set(false);
    }
}

#[cfg(all(unix, target_pointer_width = "64", feature = "profile"))]
mod sampler {
    use std::time::Duration;

    use hyper::StatusCode;
    use pprof::flamegraph::Options;
    use pprof::{Frames, ProfilerGuardBuilder, Report, Symbol};
    use smol::Timer;

    use super::super::reply::{self, Refusal, Reply};
    use super::super::wire_profile;
    use super::Format;

    /// The picture of a process that slept.
    const NOTHING: &str = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 600 60'>\
        <text x='20' y='35' font-family='sans-serif'>No CPU time was spent, so there is nothing to show.</text></svg>";

    /// Samples a second of CPU time. Prime, so that it does not beat with what happens every so many milliseconds.
    const FREQUENCY: i32 = 97;

    pub(super) async fn take(seconds: u64, format: Format) -> Result<Reply, Refusal> {
        let failed = |e: pprof::Error| {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("taking a profile: {e}"))
        };
        let guard = ProfilerGuardBuilder::default()
            .frequency(FREQUENCY)
            // The unwinder takes locks that these may hold when the signal comes (pprof's README).
            .blocklist(&["libc", "libgcc", "pthread", "vdso"])
            .build()
            .map_err(failed)?;
        Timer::after(Duration::from_secs(seconds)).await;
        // Looking up symbols takes long, and others are to be answered meanwhile.
        let drawn = smol::unblock(move || {
            let report = guard.report().frames_post_processor(leave_out_the_sampler).build()?;
            draw(&report, format)
        });
        let bytes = drawn.await.map_err(failed)?;
        Ok(match format {
            Format::Svg => {
                let mut reply = reply::body(StatusCode::OK, "image/svg+xml", bytes);
                // Its own script zooms, in an origin of its own, and reaches nothing.
                let policy = "sandbox allow-scripts; connect-src 'none'; img-src 'none'; \
                    object-src 'none'; frame-src 'none'; form-action 'none'; base-uri 'none'";
                reply::policy(&mut reply, policy);
                reply
            }
            Format::Pprof => reply::body(StatusCode::OK, "application/octet-stream", bytes),
        })
    }

    /// The signal's handler is no deeper; what is called pprof further out is somebody else's.
    const HANDLER_DEPTH: usize = 8;

    /// Takes the frames of the signal's handler away, with which each sample begins.
    fn leave_out_the_sampler(frames: &mut Frames) {
        let is_its = |symbol: &Symbol| symbol.sys_name().contains("pprof");
        let mut of_handler = frames.frames.iter().take(HANDLER_DEPTH);
        let last = of_handler.rposition(|symbols| symbols.iter().any(is_its));
        frames.frames.drain(..last.map_or(0, |last| last + 1));
    }

    fn draw(report: &Report, format: Format) -> pprof::Result<Vec<u8>> {
        match format {
            Format::Svg => {
                if report.data.is_empty() {
                    return Ok(NOTHING.as_bytes().to_vec());
                }
                let mut options = Options::default();
                options.title =
                    format!("wspoll, {} s of CPU time", report.timing.duration.as_secs());
                options.count_name = "samples".to_owned();
                let mut svg = Vec::new();
                report.flamegraph_with_options(&mut svg, &mut options)?;
                Ok(svg)
            }
            Format::Pprof => Ok(wire_profile::encode(report, FREQUENCY)),
        }
    }
}

#[cfg(not(all(unix, target_pointer_width = "64", feature = "profile")))]
mod sampler {
    use hyper::StatusCode;

    use super::super::reply::{Refusal, Reply};
    use super::Format;

    pub(super) async fn take(_seconds: u64, _format: Format) -> Result<Reply, Refusal> {
        let reason = "this build cannot take profiles: that needs a Unix and the feature `profile`";
        Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, reason))
    }
}
