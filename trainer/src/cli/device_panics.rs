//! A GPU's failures, which Burn tells by panics: one message instead of a trace.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex};

use super::failure::Failure;

/// Runs `work`, and takes what a panic says for the failure of the device.
///
/// A thread of the device's runtime that panics ends with its own message, and the thread that
/// waits for it with another: the first of them says what happened.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    let first = Arc::new(Mutex::new(None));
    let heard = Arc::clone(&first);
    let before = take_hook();
    set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        if let Ok(mut first) = heard.lock() {
            first.get_or_insert_with(|| message(panic));
        }
    }));
    let done = catch_unwind(AssertUnwindSafe(work));
    set_hook(before);
    done.map_err(|_| {
        let said = first.lock().ok().and_then(|mut first| first.take());
        Failure::device(&said.unwrap_or_else(|| "it gave no reason".to_owned()))
    })
}

fn message(panic: &PanicHookInfo<'_>) -> String {
    let text = panic.payload_as_str().unwrap_or("it gave no reason").to_owned();
    panic.location().map_or_else(|| text.clone(), |location| format!("{text} ({location})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_panic_is_the_failure() {
        let failed = caught(|| {
            let worker = std::thread::spawn(|| panic!("CUDA_ERROR_OUT_OF_MEMORY"));
            worker.join().expect("the device answers")
        });

        let failure = failed.unwrap_err();
        assert!(failure.message.contains("CUDA_ERROR_OUT_OF_MEMORY"), "{}", failure.message);
        assert!(failure.hint.unwrap().contains("training.micro_batch"));
        assert_eq!(caught(|| 5).unwrap(), 5);
    }
}
