//! The commands, one file each.

pub(crate) mod demo;
pub(crate) mod pack;
pub(crate) mod sft;
pub(crate) mod tokenize;
pub(crate) mod train;

use crate::failure::Failure;
use crate::ui::Ui;

/// What `ratdata` can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArgs),
    Pack(pack::PackArgs),
    Sft(Box<sft::SftArgs>),
    Tokenize(Box<tokenize::TokenizeArgs>),
    Train(train::TrainArgs),
}

/// Runs the command that was asked for.
pub(crate) fn dispatch(ui: &Ui, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::demo(ui, args),
        Command::Pack(args) => pack::pack(ui, args),
        Command::Sft(args) => sft::sft(ui, args),
        Command::Tokenize(args) => tokenize::tokenize(ui, args),
        Command::Train(args) => train::train(ui, args),
    }
}
