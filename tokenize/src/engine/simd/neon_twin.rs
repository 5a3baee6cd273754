//! The NEON instructions of `neon.rs` in plain code, by their definitions in Arm's manual.
//!
//! Tests on processors without NEON compile and run the NEON forms with these.
#![expect(non_camel_case_types, reason = "the names of Arm's types")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Sixteen bytes.
#[derive(Clone, Copy)]
pub(super) struct uint8x16_t([u8; 16]);

/// Two words of eight bytes.
#[derive(Clone, Copy)]
pub(super) struct uint64x2_t([u64; 2]);

/// A table of 64 bytes.
#[derive(Clone, Copy)]
pub(super) struct uint8x16x4_t(
    pub(super) uint8x16_t,
    pub(super) uint8x16_t,
    pub(super) uint8x16_t,
    pub(super) uint8x16_t,
);

fn bytes(of: impl FnMut(usize) -> u8) -> uint8x16_t {
    uint8x16_t(std::array::from_fn(of))
}

fn words(of: impl FnMut(usize) -> u64) -> uint64x2_t {
    uint64x2_t(std::array::from_fn(of))
}

/// LD1: sixteen bytes of memory.
pub(super) unsafe fn vld1q_u8(from: *const u8) -> uint8x16_t {
    // SAFETY: the caller promises 16 readable bytes.
    uint8x16_t(unsafe { from.cast::<[u8; 16]>().read_unaligned() })
}

/// LD1: two words of memory.
pub(super) unsafe fn vld1q_u64(from: *const u64) -> uint64x2_t {
    // SAFETY: the caller promises 16 readable bytes.
    uint64x2_t(unsafe { from.cast::<[u64; 2]>().read_unaligned() })
}

/// DUP: one value in each lane.
pub(super) fn vdupq_n_u8(value: u8) -> uint8x16_t {
    uint8x16_t([value; 16])
}

/// DUP: one value in each lane.
pub(super) fn vdupq_n_u64(value: u64) -> uint64x2_t {
    uint64x2_t([value; 2])
}

/// AND of bits.
pub(super) fn vandq_u8(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    bytes(|at| a.0[at] & b.0[at])
}

/// AND of bits.
pub(super) fn vandq_u64(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
    words(|at| a.0[at] & b.0[at])
}

/// ORR of bits.
pub(super) fn vorrq_u8(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    bytes(|at| a.0[at] | b.0[at])
}

/// ORR of bits.
pub(super) fn vorrq_u64(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
    words(|at| a.0[at] | b.0[at])
}

/// SUB modulo 256.
pub(super) fn vsubq_u8(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    bytes(|at| a.0[at].wrapping_sub(b.0[at]))
}

/// CMTST: all ones in each lane where the two have a bit in common.
pub(super) fn vtstq_u8(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    bytes(|at| if a.0[at] & b.0[at] == 0 { 0 } else { u8::MAX })
}

/// CMEQ: all ones in each lane where the two are equal.
pub(super) fn vceqq_u64(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
    words(|at| if a.0[at] == b.0[at] { u64::MAX } else { 0 })
}

/// EXT: the bytes from place `N` of `a` followed by `b`.
pub(super) fn vextq_u8<const N: i32>(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    let from = usize::try_from(N).unwrap();
    bytes(|at| a.0.iter().chain(&b.0).copied().nth(from + at).unwrap())
}

/// ADDP: the sums of neighbours modulo 256, first those of `a`.
pub(super) fn vpaddq_u8(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    let both: Vec<u8> = a.0.into_iter().chain(b.0).collect();
    bytes(|at| both[2 * at].wrapping_add(both[2 * at + 1]))
}

/// TBL with four registers: 0 where a place is beyond the table.
pub(super) fn vqtbl4q_u8(table: uint8x16x4_t, places: uint8x16_t) -> uint8x16_t {
    let table = [table.0.0, table.1.0, table.2.0, table.3.0].concat();
    bytes(|at| table.get(usize::from(places.0[at])).copied().unwrap_or(0))
}

/// The same bits as words; the first byte is the lowest.
pub(super) fn vreinterpretq_u64_u8(of: uint8x16_t) -> uint64x2_t {
    let halves = of.0.as_chunks::<8>().0;
    words(|at| u64::from_le_bytes(halves[at]))
}

/// UMOV: one lane.
pub(super) fn vgetq_lane_u64<const LANE: i32>(of: uint64x2_t) -> u64 {
    of.0[usize::try_from(LANE).unwrap()]
}
