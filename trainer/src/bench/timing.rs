//! The mean time of work that is repeated.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};

/// How long work is repeated before it is timed, and while.
const WARM_UP: Duration = Duration::from_millis(25);
const TIMED: Duration = Duration::from_millis(100);

/// More numbers than the second cache of a GPU holds: 256 MiB.
const FLUSH: usize = 64 << 20;

/// Times work: 25 ms of warm-up, then repetitions of 100 ms in sum and at least one, as Triton's
/// `do_bench` does.
#[derive(Clone, Debug)]
pub(super) struct Timer {
    /// A GPU, whose second cache is flushed before each repetition.
    flushed: Option<Device>,
}

impl Timer {
    pub(super) fn new(device: &Device, on_gpu: bool) -> Self {
        Self { flushed: on_gpu.then(|| device.clone()) }
    }

    /// Returns the mean milliseconds of `work`, which waits until the device has done it.
    pub(super) fn mean_ms(&self, mut work: impl FnMut()) -> f64 {
        let begun = Instant::now();
        while begun.elapsed() < WARM_UP {
            work();
        }
        let (mut spent, mut times) = (Duration::ZERO, 0_u32);
        while spent < TIMED {
            if let Some(device) = &self.flushed {
                let zeros = Tensor::<1>::zeros([FLUSH], device);
                wait(zeros.narrow(0, 0, 1));
            }
            let begun = Instant::now();
            work();
            spent += begun.elapsed();
            times += 1;
        }
        1e3 * spent.as_secs_f64() / f64::from(times)
    }
}

/// Waits until a number is computed.
pub(super) fn wait(number: Tensor<1>) {
    drop(number.into_data());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_repeated_for_a_tenth_of_a_second() {
        let mut times = 0;
        let timer = Timer::new(&Device::flex(), false);

        let mean = timer.mean_ms(|| {
            times += 1;
            std::thread::sleep(Duration::from_millis(10));
        });

        assert!((4..=14).contains(&times), "{times}");
        assert!((10.0..50.0).contains(&mean), "{mean}");
    }
}
