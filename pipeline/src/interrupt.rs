//! Ctrl-C and SIGTERM: the first asks the work to stop cleanly, the second ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, Kind};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Watches for signals from now on.
pub(crate) fn watch() {
    let set = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            // The user asked twice: staged files are left behind and the next run clears them.
            let own = rustix::process::getpid();
            if rustix::process::kill_process(own, rustix::process::Signal::KILL).is_err() {
                std::process::abort();
            }
        }
    });
    // Without a handler the system's own default ends the program, which every writer survives.
    drop(set);
}

/// The flag that work looks at between two pieces.
pub(crate) fn flag() -> &'static AtomicBool {
    &ASKED
}

/// Returns whether the user asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Ends work that the user asked to stop; loops that cannot fail look at [`asked`] and end here.
pub(crate) fn check() -> Result<(), Failure> {
    if asked() { Err(Failure::message(Kind::Interrupted, "interrupted")) } else { Ok(()) }
}
