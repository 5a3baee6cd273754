//! Texts that parts of tokenizers are tried on.

/// Random text: words, accents, scripts, emoji, marks, controls, punctuation, and what tokenizers call special.
pub(super) const ANY: &str = concat!(
    r"([a-z]{1,6}|[A-Z]{1,3}|[0-9²½Ⅷ٣]{1,4}| {1,3}|[\t\n\r\u{b}\u{c}\u{85}\u{a0}\u{3000}]|\r\n",
    r"|[éÅİßǅΣςﬁﷺ㎏ⅷ½\u{1e9b}\u{323}]|[\u{300}-\u{330}\u{f71}-\u{f74}\u{93c}\u{94d}]",
    r"|[中文々〆カナひヵー가각\u{1100}\u{1161}\u{11a8}\u{f900}\u{2f800}]|[क-नа-яא-ת]{1,3}|[😀👩🇩🇪👍\u{200d}\u{fe0f}]",
    r"|[\u{0}-\u{1f}\u{7f}-\u{9f}\u{ad}\u{200b}-\u{200f}\u{feff}\u{fffd}]|[,.!?'()\u{3001}「」_$-]",
    r"|\PC|<s>|<S>|\[MASK\]|▁|<unk>| 's){0,40}",
);

/// All characters that any table knows, and some of those that none does; 64 at a time.
pub(super) fn all_characters() -> impl Iterator<Item = Vec<char>> {
    let known = (0..0x3_4000).chain(0xe_0000..0xe_0200).chain((0x3_4000..0x11_0000).step_by(997));
    let characters: Vec<char> = known.filter_map(char::from_u32).collect();
    let chunks: Vec<Vec<char>> = characters.chunks(64).map(<[char]>::to_vec).collect();
    chunks.into_iter()
}
