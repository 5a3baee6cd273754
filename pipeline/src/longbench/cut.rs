//! A prompt that is too long, without its middle.

use ratdata_schemas::TokenId;

/// Returns ids that leave room for `new` tokens in a sequence of `context`: of `context` - `new` ids and
/// more the first half and the last, one less than that in all. `None` where there is no room.
///
/// The RAT reference cuts like this. LongBench's own script decodes both halves and encodes the text
/// again, which gives other ids at the seam.
pub(super) fn cut(ids: Vec<TokenId>, context: usize, new: usize) -> Option<Vec<TokenId>> {
    let most = context.checked_sub(new)?;
    if ids.len() < most {
        return Some(ids);
    }
    let kept = most.checked_sub(1).filter(|&kept| kept > 0)?;
    let first = kept / 2;
    let mut cut = ids[..first].to_vec();
    cut.extend_from_slice(&ids[ids.len() - (kept - first)..]);
    Some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_left_out() {
        let ids: Vec<TokenId> = (0..12).collect();

        assert_eq!(cut(ids.clone(), 41, 32), Some(vec![0, 1, 2, 3, 8, 9, 10, 11]));
        assert_eq!(cut(ids.clone(), 13, 3), Some(vec![0, 1, 2, 3, 7, 8, 9, 10, 11]));
        assert_eq!(cut(ids.clone(), 45, 32), Some(ids.clone()), "13 ids would not fit");
        assert_eq!(cut(ids.clone(), 34, 32), Some(vec![11]));
        assert_eq!((cut(ids.clone(), 33, 32), cut(ids, 31, 32)), (None, None));
    }
}
