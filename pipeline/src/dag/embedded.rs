//! The pipelines that are compiled into the program, by name.

/// The pipelines that are compiled in.
const EMBEDDED: [(&str, &str); 6] = [
    ("fineweb_edu", include_str!("../../../configs/pipeline/fineweb_edu.toml")),
    ("fineweb_edu_paper", include_str!("../../../configs/pipeline/fineweb_edu_paper.toml")),
    ("rat", include_str!("../../../configs/pipeline/rat.toml")),
    ("sft_narrativeqa", include_str!("../../../configs/pipeline/sft_narrativeqa.toml")),
    ("tiny", include_str!("../../../configs/pipeline/tiny.toml")),
    ("tiny_compare", include_str!("../../../configs/pipeline/tiny_compare.toml")),
];

/// Returns the text of the pipeline called `name` that is compiled in.
pub(crate) fn embedded(name: &str) -> Option<&'static str> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Returns the names of the pipelines that are compiled in.
pub(crate) fn embedded_names() -> String {
    EMBEDDED.map(|(name, _)| name).join(", ")
}
