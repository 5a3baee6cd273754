//! The experiments that are compiled in.

macro_rules! experiments {
    ($($name:literal),* $(,)?) => {
        /// Name and text of every file of `configs/experiment`, sorted by name.
        ///
        /// Those without a model's mixers are what others extend.
        pub const EXPERIMENTS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../configs/experiment/", $name, ".toml")))),*
        ];
    };
}

experiments![
    "demo",
    "fineweb_edu/attention-xl",
    "fineweb_edu/attention_localattention_interleave-xl",
    "fineweb_edu/rat-xl",
    "fineweb_edu/rat_localattention_interleave-xl",
    "fineweb_edu/rnn-xl",
    "sft/attention-xl",
    "sft/attention_localattention_interleave-xl",
    "sft/rat-xl",
    "sft/rat_localattention_interleave-xl",
    "sft/rnn-xl",
    "tiny",
    "tiny-attention",
    "tiny-attention_localattention_interleave",
    "tiny-rat",
    "tiny-rat_localattention_interleave",
    "tiny-rnn",
    "xl",
];

/// Returns the text of an experiment by its name, with or without folders above and `.toml`.
pub fn experiment(name: &str) -> Option<&'static str> {
    let name = experiment_name(name);
    EXPERIMENTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Returns a name as [`EXPERIMENTS`] has it: `../xl.toml` and `configs/experiment/xl.toml` are `xl`.
pub fn experiment_name(name: &str) -> &str {
    let name = name.trim_start_matches("./").trim_start_matches("../");
    let name = name.strip_prefix("configs/experiment/").unwrap_or(name);
    name.strip_suffix(".toml").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn files(folder: &Path, above: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_dir() {
                files(&entry.path(), &format!("{above}{name}/"), found);
            } else {
                found.push(format!("{above}{}", name.trim_end_matches(".toml")));
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_compiled_in() {
        let mut found = Vec::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/experiment");
        files(&folder, "", &mut found);
        found.sort();

        let known: Vec<&str> = EXPERIMENTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(known, found);
    }
}
