//! All targets for a moment, with the same mutations every time and on any compiler.
//!
//! `RATDATA_FUZZ_SECONDS` is how long each target runs (default 1). Bytes that break one are
//! written to the folder of temporary files, and the message says where.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use ratdata_fuzz::{TARGETS, Target};

/// `SplitMix64`: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap_or(0)
    }

    /// Changes bytes as hostile files are changed: cut off, flipped, moved, made huge.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(8) {
                0 => bytes.truncate(at),
                1 | 2 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                3 if !bytes.is_empty() => bytes[at] = self.next().to_le_bytes()[0],
                4 => {
                    let odd = [0, u64::MAX, 1 << 63, u64::from(u32::MAX), 1 << 32, self.next()];
                    let odd = odd[self.below(odd.len())].to_le_bytes();
                    let width = [1, 2, 4, 8][self.below(4)];
                    let end = (at + width).min(bytes.len());
                    bytes.splice(at..end, odd[..width].iter().copied());
                }
                5 => {
                    let end = (at + self.below(64)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                6 => {
                    let end = (at + self.below(16)).min(bytes.len());
                    bytes.drain(at..end);
                }
                _ => {
                    let odd = ["-1", "1e999", "null", "\"\"", "[]", "{}", "../", "\\u0000", "▁"];
                    let odd = odd[self.below(odd.len())];
                    bytes.splice(at..at, odd.bytes());
                }
            }
        }
    }
}

fn run(target: &Target, time: Duration) {
    let mut random = Random(7);
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} has no seed", target.name);
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < time || number < seeds.len() {
        let mut bytes = seeds[number % seeds.len()].clone();
        // The seeds themselves come first.
        if number >= seeds.len() {
            random.mutate(&mut bytes);
        }
        number += 1;
        let once = Instant::now();
        let ended = catch_unwind(|| (target.run)(&bytes));
        let took = once.elapsed();
        if ended.is_err() || took > Duration::from_secs(10) {
            let path = std::env::temp_dir().join(format!("ratdata-fuzz-{}", target.name));
            let kept = fs::File::create(&path).and_then(|mut file| file.write_all(&bytes));
            let path = path.display();
            panic!("{}: run {number} took {took:?}; {path} {kept:?}", target.name);
        }
    }
}

#[test]
fn no_target_breaks_in_a_short_run() {
    let seconds = std::env::var("RATDATA_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs_f64(seconds.unwrap_or(1.0));
    for target in &TARGETS {
        run(target, time);
    }
}
