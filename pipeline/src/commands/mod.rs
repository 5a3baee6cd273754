//! The commands, one file each.

pub(crate) mod demo;
pub(crate) mod pack;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod sample;
pub(crate) mod sft;
pub(crate) mod tokenize;

use crate::failure::Failure;
use crate::ui::Ui;

/// What `ratdata` can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArgs),
    Pack(pack::PackArgs),
    Plan(plan::PlanArgs),
    Run(run::RunArgs),
    #[command(hide = true)]
    Sample(sample::SampleArgs),
    Sft(Box<sft::SftArgs>),
    Tokenize(Box<tokenize::TokenizeArgs>),
}

/// Runs the command that was asked for.
pub(crate) fn dispatch(ui: &Ui, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::demo(ui, args),
        Command::Pack(args) => pack::pack(ui, args),
        Command::Plan(args) => plan::plan(ui, args),
        Command::Run(args) => run::run(ui, args),
        Command::Sample(args) => sample::sample(ui, args),
        Command::Sft(args) => sft::sft(ui, args),
        Command::Tokenize(args) => tokenize::tokenize(ui, args),
    }
}
