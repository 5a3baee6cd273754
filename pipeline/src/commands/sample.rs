//! `ratdata sample`: the inputs of the demo and of the pipeline `tiny`.

use std::path::PathBuf;

use crate::demo::{train_tokenizer, write_corpus, write_questions};
use crate::failure::Failure;
use crate::ui::Ui;

/// Write a small corpus, questions and a tokenizer, made on the spot and the same every time
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SampleArgs {
    /// The folder to write `corpus`, `questions` and `tokenizer` into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub(crate) fn sample(ui: &Ui, args: &SampleArgs) -> Result<(), Failure> {
    ui.note("writing a sample corpus");
    let texts = write_corpus(&args.out)?;
    write_questions(&args.out)?;
    ui.note("training a tokenizer on it");
    train_tokenizer(&args.out, &texts)?;
    Ok(())
}
