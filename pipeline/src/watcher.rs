//! A thread that shows how far some work is, until the work ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// Tells the thread that shows the work whether it is over.
pub(crate) struct Done(AtomicBool);

impl Done {
    /// Returns whether the work is over.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Sleeps for `tick`, or until the work is over.
    pub(crate) fn wait(&self, tick: Duration) {
        if !self.is_set() {
            std::thread::park_timeout(tick);
        }
    }
}

/// Ends the thread however the work ends: after a panic, too, since the scope waits for the thread.
struct End<'a> {
    done: &'a Done,
    watcher: Option<Thread>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.done.0.store(true, Ordering::Release);
        if let Some(watcher) = &self.watcher {
            watcher.unpark();
        }
    }
}

/// Runs `work`, and `show` on another thread until `work` returns.
///
/// Where the system has no room for another thread, the work is done and not shown.
pub(crate) fn work_and_show<T>(work: impl FnOnce() -> T, show: impl FnOnce(&Done) + Send) -> T {
    let done = Done(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let watcher = std::thread::Builder::new().spawn_scoped(scope, || show(&done));
        let watcher = watcher.ok().map(|watcher| watcher.thread().clone());
        let _end = End { done: &done, watcher };
        work()
    })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn show(done: &Done) {
        while !done.is_set() {
            done.wait(Duration::from_secs(60));
        }
    }

    #[test]
    fn the_thread_ends_with_the_work() {
        assert_eq!(work_and_show(|| 7, show), 7);
    }

    #[test]
    fn the_thread_ends_when_the_work_panics() {
        let broken = catch_unwind(AssertUnwindSafe(|| work_and_show(|| panic!("broken"), show)));

        assert!(broken.is_err());
    }
}
