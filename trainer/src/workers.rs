//! Work on the CPU's pool of threads.

use burn::tensor::Device;

/// Does work on a thread of the pool, where the device is the CPU.
///
/// A thread outside of the pool hands each loop over to it and sleeps until the loop has ended. That takes longer
/// than a loop over the numbers of one token. A thread of the pool begins the loop itself.
pub(crate) fn among_workers<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    // A GPU has a queue for each thread that gives it work.
    if device.clone().inner() == Device::flex() { rayon::scope(|_| work()) } else { work() }
}
