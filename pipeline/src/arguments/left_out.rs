//! Says which files are not read, and why.

use ratdata_tokenize::source::LeftOut;

use crate::ui::Ui;

/// Tells which files of folders are not read: held-out ones so that nobody misses them, and those of
/// unknown kinds.
pub(crate) fn tell_left_out(ui: &Ui, left: &LeftOut) {
    let shown = |names: &[String]| {
        let first = names.iter().take(3).map(|name| format!("`{name}`")).collect::<Vec<_>>();
        format!("{}{}", first.join(", "), if names.len() > 3 { ", …" } else { "" })
    };
    if !left.other_splits.is_empty() {
        ui.warn(&format!(
            "files left out by the split that their names tell: {} ({}); name them by themselves, or choose with `--split-files all|train|validation|test`",
            left.other_splits.len(),
            shown(&left.other_splits)
        ));
    }
    if !left.unknown.is_empty() {
        ui.warn(&format!(
            "files of an unknown kind that are not read: {} ({})",
            left.unknown.len(),
            shown(&left.unknown)
        ));
    }
}
