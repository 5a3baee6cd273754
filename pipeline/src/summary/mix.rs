//! What `ratdata mix` says of its sources before it writes anything.

use std::fmt;

use ratdata_console::grouped;
use ratdata_schemas::recipe::Amount;
use ratdata_tokenize::mix::MixPlan;
use serde::Serialize;

/// The plan of a mix as a table.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct MixTable<'a>(pub(crate) &'a MixPlan);

impl fmt::Display for MixTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(plan) = self;
        let paths: Vec<String> =
            plan.sources.iter().map(|source| source.path.display().to_string()).collect();
        let width = paths.iter().map(|path| path.chars().count()).max().unwrap_or(0).max(6);
        let asked = plan.sources.iter().map(|source| source.take.len()).max().unwrap_or(0).max(9);
        writeln!(
            f,
            "{:<width$}  {:<asked$} {:>18} {:>18} {:>14} {:>7} {:>7}  missing",
            "source", "asked for", "tokens there", "tokens given", "documents", "share", "epochs"
        )?;
        for (path, source) in paths.iter().zip(&plan.sources) {
            let missing = match source.missing {
                None => "nothing".into(),
                Some(Amount::Documents(count)) => format!("{} documents", grouped(count)),
                Some(Amount::Tokens(count) | Amount::Bytes(count)) => {
                    format!("{} tokens", grouped(count))
                }
            };
            writeln!(
                f,
                "{path:<width$}  {:<asked$} {:>18} {:>18} {:>14} {:>6.2}% {:>7.2}  {missing}",
                source.take,
                grouped(source.there_tokens),
                grouped(source.tokens),
                grouped(source.documents),
                source.weight * 100.0,
                source.epochs,
            )?;
        }
        let (documents, tokens) = (grouped(plan.documents), grouped(plan.tokens));
        write!(f, "{tokens} tokens of split `{}` in {documents} documents", plan.split)
    }
}
