//! Options of every packing: `ratdata pack`, and `ratdata sft --packing`.

use clap::ValueEnum;
use ratdata_tokenize::pack::{Algorithm, Long, PackConfig};

use crate::number::whole;

/// Options of every packing.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PackingArgs {
    /// How to treat a document that is longer than a row [default: split]
    #[arg(long, value_enum)]
    long: Option<LongArg>,

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

/// How documents are put into rows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PackingArg {
    /// One after the other, cut where a row is full
    Concat,
    /// Whole, each into the fullest row with room
    BestFit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LongArg {
    /// Split it over rows
    Split,
    /// Leave it out
    Drop,
}

impl PackingArgs {
    pub(crate) fn config(&self, seq_len: u32, packing: PackingArg) -> PackConfig {
        PackConfig {
            seq_len,
            packing: match packing {
                PackingArg::Concat => Algorithm::Concat,
                PackingArg::BestFit => Algorithm::BestFit,
            },
            long: match self.long {
                None | Some(LongArg::Split) => Long::Split,
                Some(LongArg::Drop) => Long::Drop,
            },
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
