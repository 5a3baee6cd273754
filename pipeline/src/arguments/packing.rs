//! Options of every packing: `ratdata pack`, and `ratdata sft --packing`.

use ratdata_tokenize::pack::{Algorithm, Long, PackConfig};

use crate::number::whole;

/// Options of every packing.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PackingArgs {
    /// How to treat a document that is longer than a row [default: split]
    #[arg(long, value_enum)]
    long: Option<Long>,

    /// Begin documents at multiples of N columns, such as the model's chunk [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    align: Option<u32>,

    /// Shuffle the documents with this seed [default: bin order]
    #[arg(long, allow_negative_numbers = true, value_name = "SEED", value_parser = whole)]
    seed: Option<u64>,

    /// Also write the rows out for other readers
    #[arg(long)]
    pub(crate) materialize: bool,
}

impl PackingArgs {
    pub(crate) fn config(&self, seq_len: u32, packing: Algorithm) -> PackConfig {
        PackConfig {
            seq_len,
            packing,
            long: self.long.unwrap_or_default(),
            align: self.align.unwrap_or(1),
            seed: self.seed,
        }
    }

    /// Returns the first option that was given, which says nothing where nothing is packed.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            (self.long.is_some(), "--long"),
            (self.align.is_some(), "--align"),
            (self.seed.is_some(), "--seed"),
            (self.materialize, "--materialize"),
        ];
        given.into_iter().find_map(|(given, option)| given.then_some(option))
    }
}
