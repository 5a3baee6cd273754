//! Many threads, in the order of the input: tasks in, what was made of them out.
//!
//! A worker takes the next task and works on it; the thread that calls [`in_order`] hands the results
//! on in the order of the tasks. No task is taken while too many before it are not handed on, so what
//! waits is bounded, and the number of threads changes no byte.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::PrepareError;

struct State<I> {
    tasks: I,
    taken: u64,
    handed_on: u64,
    ended: bool,
}

struct Shared<'a, I> {
    state: Mutex<State<I>>,
    changed: Condvar,
    stop: &'a AtomicBool,
    ended: AtomicBool,
    most_waiting: u64,
}

/// Works on all tasks with as many threads as there are workers, and calls `sink` with the results in
/// the order of the tasks.
///
/// # Errors
///
/// The first failure by the order of the tasks, or that of `sink`; or `stop` was set.
pub(crate) fn in_order<T: Send, W: Send, O: Send>(
    workers: Vec<W>,
    tasks: impl Iterator<Item = Result<T, PrepareError>> + Send,
    stop: &AtomicBool,
    work: impl Fn(&mut W, T) -> Result<O, PrepareError> + Sync,
    mut sink: impl FnMut(O) -> Result<(), PrepareError>,
) -> Result<(), PrepareError> {
    let shared = Shared {
        state: Mutex::new(State { tasks, taken: 0, handed_on: 0, ended: false }),
        changed: Condvar::new(),
        stop,
        ended: AtomicBool::new(false),
        most_waiting: workers.len() as u64 + 2,
    };
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for worker in workers {
            let (sender, shared, work) = (sender.clone(), &shared, &work);
            let run = move || {
                // A panic must not leave the others waiting for this task.
                let guard = EndOnPanic(shared);
                run(shared, worker, work, &sender);
                std::mem::forget(guard);
            };
            match std::thread::Builder::new().spawn_scoped(scope, run) {
                Ok(worker) => running.push(worker),
                // Fewer threads give the same bytes.
                Err(_) if !running.is_empty() => break,
                Err(source) => return Err(PrepareError::Thread { source }),
            }
        }
        drop(sender);
        let mut waiting: BTreeMap<u64, Result<O, PrepareError>> = BTreeMap::new();
        let mut next = 0;
        let mut told = Ok(());
        'all: for (number, made) in receiver {
            waiting.insert(number, made);
            while let Some(made) = waiting.remove(&next) {
                told = made.and_then(&mut sink);
                if told.is_err() {
                    break 'all;
                }
                next += 1;
                lock(&shared.state).handed_on = next;
                shared.changed.notify_all();
            }
        }
        shared.ended.store(true, Ordering::SeqCst);
        shared.changed.notify_all();
        let panicked = running.into_iter().filter_map(|worker| worker.join().err()).count();
        if panicked > 0 { Err(PrepareError::Panicked) } else { told }
    })?;
    if stop.load(Ordering::SeqCst) { Err(PrepareError::Interrupted) } else { Ok(()) }
}

struct EndOnPanic<'a, 'b, I>(&'a Shared<'b, I>);

impl<I> Drop for EndOnPanic<'_, '_, I> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
        self.0.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One worker's life.
fn run<T, W, O, I: Iterator<Item = Result<T, PrepareError>>>(
    shared: &Shared<'_, I>,
    mut worker: W,
    work: &(impl Fn(&mut W, T) -> Result<O, PrepareError> + Sync),
    sender: &Sender<(u64, Result<O, PrepareError>)>,
) {
    while let Some((number, task)) = next(shared) {
        let made = task.and_then(|task| work(&mut worker, task));
        if made.is_err() {
            // What comes later is of no use.
            lock(&shared.state).ended = true;
        }
        if sender.send((number, made)).is_err() {
            return;
        }
    }
}

fn next<T, I: Iterator<Item = Result<T, PrepareError>>>(
    shared: &Shared<'_, I>,
) -> Option<(u64, Result<T, PrepareError>)> {
    let mut state = lock(&shared.state);
    loop {
        let stopped = shared.stop.load(Ordering::SeqCst) || shared.ended.load(Ordering::SeqCst);
        if stopped || state.ended {
            shared.changed.notify_all();
            return None;
        }
        if state.taken - state.handed_on < shared.most_waiting {
            break;
        }
        let tick = Duration::from_millis(100);
        state = shared.changed.wait_timeout(state, tick).unwrap_or_else(PoisonError::into_inner).0;
    }
    let Some(task) = state.tasks.next() else {
        state.ended = true;
        shared.changed.notify_all();
        return None;
    };
    state.ended = task.is_err();
    state.taken += 1;
    Some((state.taken - 1, task))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squares(threads: usize, upto: u64, fails: Option<u64>) -> (Vec<u64>, Option<String>) {
        let stop = AtomicBool::new(false);
        let mut made = Vec::new();
        let ran = in_order(
            vec![(); threads],
            (0..upto).map(Ok),
            &stop,
            |(), number| {
                if number % 7 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                if fails.is_some_and(|first| number >= first) {
                    return Err(PrepareError::Row {
                        path: "x".into(),
                        place: format!("row {number}"),
                        reason: "bad".into(),
                    });
                }
                Ok(number * number)
            },
            |square| {
                made.push(square);
                Ok(())
            },
        );
        (made, ran.err().map(|wrong| wrong.to_string()))
    }

    #[test]
    fn results_come_in_the_order_of_the_tasks_for_any_number_of_threads() {
        for threads in [1, 2, 5] {
            let (made, wrong) = squares(threads, 200, None);
            assert_eq!(made, (0..200).map(|number| number * number).collect::<Vec<_>>());
            assert_eq!(wrong, None);
        }
    }

    #[test]
    fn the_first_failure_is_told_whichever_thread_met_it() {
        for threads in [1, 4] {
            let (made, wrong) = squares(threads, 100, Some(40));
            assert_eq!(made.len(), 40);
            assert_eq!(wrong.unwrap(), "x: row 40: bad");
        }
    }

    #[test]
    fn a_stop_ends_all_threads() {
        let stop = AtomicBool::new(false);
        let ran = in_order(
            vec![(); 3],
            (0..).map(Ok),
            &stop,
            |(), number: u64| Ok(number),
            |number| {
                stop.fetch_or(number == 50, Ordering::SeqCst);
                Ok(())
            },
        );
        assert!(matches!(ran, Err(PrepareError::Interrupted)));
    }

    #[test]
    fn a_panic_is_an_error() {
        let stop = AtomicBool::new(false);
        let ran = in_order(
            vec![(); 2],
            (0..50).map(Ok),
            &stop,
            |(), number: u64| {
                assert!(number != 20, "planted");
                Ok(number)
            },
            |_| Ok(()),
        );
        assert!(matches!(ran, Err(PrepareError::Panicked)));
    }
}
