//! A GPU's failures, which Burn tells by panics: one message instead of a trace.

use std::panic::{
    AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind, set_hook, take_hook,
};
use std::sync::{Arc, Mutex};

use super::failure::Failure;

/// Whose panic was the first.
enum First {
    /// The device's, and what it said.
    Device(String),
    /// The program's own: a mistake in it, which was told with its place.
    Own,
}

/// Runs `work`, and takes what a panic of the device's runtime says for the failure of the device.
///
/// A thread of the runtime that panics ends with its own message, and the thread that waits for
/// it with another: the first of them says what happened. A panic that began elsewhere is passed
/// on as it is.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    let first = Arc::new(Mutex::new(None));
    let heard = Arc::clone(&first);
    let before = Arc::new(take_hook());
    let usual = Arc::clone(&before);
    set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let Ok(mut first) = heard.lock() else { return };
        if first.is_some() {
            return;
        }
        if is_of_device(panic) {
            *first = Some(First::Device(message(panic)));
        } else {
            *first = Some(First::Own);
            usual(panic);
        }
    }));
    let done = catch_unwind(AssertUnwindSafe(work));
    set_hook(Box::new(move |panic| before(panic)));
    done.map_err(|payload| match first.lock().ok().and_then(|mut first| first.take()) {
        Some(First::Device(said)) => Failure::device(&said),
        Some(First::Own) | None => resume_unwind(payload),
    })
}

/// Whether the runtime of the GPU panicked: by where it stands, or by the driver's words.
fn is_of_device(panic: &PanicHookInfo<'_>) -> bool {
    let file = panic.location().map_or("", |location| location.file());
    let said = panic.payload_as_str().unwrap_or_default();
    ["/cubecl", "/cudarc", "/burn-cubecl", "/burn-cuda"].iter().any(|name| file.contains(name))
        || ["CUDA_ERROR", "NVRTC_ERROR", "DriverError"].iter().any(|word| said.contains(word))
}

fn message(panic: &PanicHookInfo<'_>) -> String {
    let text = panic.payload_as_str().unwrap_or("it gave no reason").to_owned();
    panic.location().map_or_else(|| text.clone(), |location| format!("{text} ({location})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test: the hook of panics is the process's.
    #[test]
    fn the_first_panic_is_the_failure_of_whoever_had_it() {
        let failed = caught(|| {
            let worker = std::thread::spawn(|| panic!("CUDA_ERROR_OUT_OF_MEMORY"));
            worker.join().expect("the device answers")
        });

        let failure = failed.unwrap_err();
        assert!(failure.message.contains("CUDA_ERROR_OUT_OF_MEMORY"), "{}", failure.message);
        assert!(failure.hint.unwrap().contains("training.micro_batch"));
        assert_eq!(caught(|| 5).unwrap(), 5);

        let own = catch_unwind(|| caught::<()>(|| panic!("index out of bounds")));
        assert!(own.is_err(), "a mistake of the program is no failure of the device");
    }
}
