//! The parts of token bins that the system has mapped, so that rows in any order are read without faults.

use std::fs;
use std::hint::black_box;
use std::ops::Range;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bin_set::BinSet;

/// The bytes of a window.
const WINDOW: usize = 2 << 20;
/// The bytes around a touched one that Linux maps, where they are in memory.
const AROUND: usize = 64 << 10;
/// Bins that have at most one of so many parts of the memory are read in windows.
const PART_OF_MEMORY: u64 = 2;

/// Which windows of each shard of a set were touched.
///
/// A shuffled epoch has a fault at nearly every row until all of a bin is mapped, and the processor fetches nothing
/// ahead from a page that is not. Faults one after the other take less: the system's own code and tables stay in the
/// caches. A process that was forked has no page of its parent's maps; it reads by faults what its parent touched.
///
/// Windows that come from a disk come in large pages, where the file system has them: the system looks up fewer places.
#[derive(Debug)]
pub struct Windows {
    shards: Vec<ShardWindows>,
}

#[derive(Debug)]
struct ShardWindows {
    /// Asks for large pages before the first window is touched.
    advised: Once,
    touched: Box<[AtomicBool]>,
}

impl Windows {
    /// Makes the windows of a set, none of them touched.
    pub fn of(bins: &BinSet) -> Self {
        let windows = |bytes: &[u8]| {
            (0..bytes.len().div_ceil(WINDOW)).map(|_| AtomicBool::new(false)).collect()
        };
        let shards = bins.shards().iter().map(|shard| ShardWindows {
            advised: Once::new(),
            touched: windows(shard.bin().bytes()),
        });
        Self { shards: shards.collect() }
    }

    /// Touches the windows that a range of a shard's bytes lies in, unless they were, and returns how many that were.
    ///
    /// # Panics
    ///
    /// Panics where the range passes the end of the shard, as a slice does.
    pub fn touch(&self, bins: &BinSet, shard: usize, range: Range<usize>) -> usize {
        if range.is_empty() {
            return 0;
        }
        let windows = &self.shards[shard];
        let bin = bins.shards()[shard].bin();
        let bytes = bin.bytes();
        let mut new = 0;
        for number in range.start / WINDOW..=(range.end - 1) / WINDOW {
            let touched = &windows.touched[number];
            // Where two threads touch a window at once, its pages are mapped all the same.
            if touched.load(Ordering::Relaxed) || touched.swap(true, Ordering::Relaxed) {
                continue;
            }
            windows.advised.call_once(|| bin.advise_large_pages());
            let window = &bytes[number * WINDOW..bytes.len().min((number + 1) * WINDOW)];
            black_box(window.iter().step_by(AROUND).fold(0, |all, byte| all ^ byte));
            new += 1;
        }
        new
    }
}

/// Returns whether bins of so many bytes together fit into half of the memory of the machine and of the container.
///
/// Only then is a whole window read for one row: the others come from memory later. Where the system does not say how
/// much memory there is, the answer is no.
pub fn fits_in_memory(bytes: u64) -> bool {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory_of(&text));
    let container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse().ok());
    machine.is_some_and(|all| bytes <= all.min(container.unwrap_or(u64::MAX)) / PART_OF_MEMORY)
}

/// Returns the bytes of memory that `/proc/meminfo` tells.
fn memory_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dtype;

    #[test]
    fn each_window_is_touched_once_up_to_the_end_of_the_bin() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len((2 * WINDOW + 10) as u64).unwrap();
        let bins = BinSet::open_bin(file.path(), Dtype::U16).unwrap();
        let windows = Windows::of(&bins);

        let touched = [
            windows.touch(&bins, 0, WINDOW - 4..WINDOW),
            windows.touch(&bins, 0, WINDOW - 4..WINDOW + 2),
            windows.touch(&bins, 0, 0..2 * WINDOW + 10),
            windows.touch(&bins, 0, 0..2 * WINDOW + 10),
            windows.touch(&bins, 0, 6..6),
        ];

        assert_eq!(touched, [1, 1, 1, 0, 0]);
    }

    #[test]
    fn the_memory_is_what_the_system_tells() {
        let meminfo = "MemFree:          10 kB\nMemTotal:       24684092 kB\nBuffers: 4 kB\n";

        assert_eq!(memory_of(meminfo), Some(24_684_092 << 10));
        assert_eq!(memory_of("MemTotal: many\n"), None);
        assert!(!fits_in_memory(u64::MAX));
    }
}
