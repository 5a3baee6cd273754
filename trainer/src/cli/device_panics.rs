//! Failures of a GPU, which Burn reports by panics: one message instead of a trace.

use std::panic::{
    AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind, set_hook, take_hook,
};
use std::sync::{Arc, Mutex};

use ratdata_train::device::Hardware;

use super::failure::Failure;

/// Where the first panic came from.
enum First {
    /// The runtime of the device, with its message.
    Device(String),
    /// The program itself. The usual hook has printed the message.
    Own,
}

/// Runs `work` on the hardware, and returns a panic of a GPU's runtime as a failure.
pub(crate) fn on<T>(hardware: Hardware, work: impl FnOnce() -> T) -> Result<T, Failure> {
    if hardware.is_gpu() { caught(work) } else { Ok(work()) }
}

/// Runs `work`, and returns a panic of the device's runtime as a failure of the device.
///
/// When a thread of the runtime panics, the thread that waits for it panics with another message.
/// The first message says what happened. A panic that began elsewhere is resumed.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
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

/// Returns whether the runtime of the GPU panicked, judged by the file or by the driver's words.
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

    /// This is one test, because a process has one panic hook.
    #[test]
    fn the_first_panic_decides_who_failed() {
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
