//! Ctrl-C and SIGTERM: the first signal asks the work to stop cleanly, the second ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Handles signals from now on.
pub fn watch() {
    let set = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            // The second signal: staged files stay, and the next run removes them.
            let own = rustix::process::getpid();
            if rustix::process::kill_process(own, rustix::process::Signal::KILL).is_err() {
                std::process::abort();
            }
        }
    });
    // Without a handler the system ends the program, and every file on disk is still whole.
    drop(set);
}

/// The flag that work checks between two units.
pub fn flag() -> &'static AtomicBool {
    &ASKED
}

/// Returns whether the user asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
