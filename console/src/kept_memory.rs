//! Memory that a program keeps instead of giving it back to the system.
//!
//! glibc gives each block above 32 MiB back to the system when it is freed. A program that takes and frees such blocks
//! all the time then waits for the system to clear new pages each time.

/// Makes the allocator keep what is freed, for the blocks that come next. The program's memory then stays at its peak.
///
/// It returns whether the allocator agreed: that of glibc does, others decide for themselves.
pub fn keep_freed_memory() -> bool {
    kept()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the allocator's settings are C")]
fn kept() -> bool {
    // No block is mapped on its own, and the end of the heap goes back only above this size.
    let settings = [(libc::M_MMAP_MAX, 0), (libc::M_TRIM_THRESHOLD, libc::c_int::MAX)];
    // SAFETY: `mallopt` takes two numbers, and may be called at any moment.
    settings.iter().all(|&(name, value)| unsafe { libc::mallopt(name, value) } == 1)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn kept() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the pages that the system gave this thread so far.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn pages() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn a_freed_block_is_used_again() {
        assert!(keep_freed_memory());
        let used = || {
            let before = pages();
            // A thread that is not the first has room for blocks up to 64 MiB, less what describes them.
            drop(std::hint::black_box(vec![1_u8; 16 << 20]));
            pages() - before
        };

        let (first, second) = (used(), used());

        assert!(second < first / 8, "{first} pages, then {second}");
    }
}
