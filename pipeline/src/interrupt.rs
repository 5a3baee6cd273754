//! Ctrl-C and SIGTERM: where work of this program checks for them, and how it ends.

use std::time::Duration;

pub(crate) use ratdata_console::interrupt::{asked, flag, watch};

use crate::failure::{Failure, Kind};
use crate::ui::Ui;

/// How long work has to end by itself, which leaves less to clear for the next run.
const GRACE: Duration = Duration::from_millis(300);

/// Ends the program a moment after the user asks, even where one row of gigabytes is being read,
/// parsed, encoded or made durable by code that cannot look at the flag.
///
/// For commands whose work survives a kill at any moment, and that wait for no other process;
/// `failure` is what they would say themselves.
pub(crate) fn end_promptly(ui: &Ui, failure: Failure) {
    let ui = ui.clone();
    let wait = move || {
        while !asked() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(GRACE);
        ui.failure(&failure);
        #[expect(clippy::exit, reason = "the main thread waits for what cannot be stopped")]
        std::process::exit(failure.status().into());
    };
    // Where no thread can be started, the work ends when it looks at the flag.
    drop(std::thread::Builder::new().spawn(wait));
}

/// Ends work that the user asked to stop; loops that cannot fail look at [`asked`] and end here.
pub(crate) fn check() -> Result<(), Failure> {
    if asked() { Err(Failure::message(Kind::Interrupted, "interrupted")) } else { Ok(()) }
}
