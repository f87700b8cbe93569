//! The one thread on which all clients run.

use std::sync::{Mutex, PoisonError};
use std::thread;

use smol::{Executor, future};

use crate::error::{Error, Result};

static EXECUTOR: Executor<'static> = Executor::new();

/// Runs a task beside all others. It must not panic.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    static RUNS: Mutex<bool> = Mutex::new(false);
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    if !*runs {
        let run = || smol::block_on(EXECUTOR.run(future::pending::<()>()));
        thread::Builder::new()
            .name("wspoll-client".to_owned())
            .spawn(run)
            .map_err(|e| Error::io("starting the thread of the clients", e))?;
        *runs = true;
    }
    drop(runs);
    EXECUTOR.spawn(task).detach();
    Ok(())
}
