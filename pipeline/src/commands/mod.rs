//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod cancel;
pub(crate) mod card;
pub(crate) mod clean;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod count;
pub(crate) mod decontaminate;
pub(crate) mod dedup;
pub(crate) mod demo;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod filter;
pub(crate) mod generate;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod logs;
pub(crate) mod manual;
pub(crate) mod merge;
pub(crate) mod mix;
pub(crate) mod pack;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod sample;
pub(crate) mod score;
pub(crate) mod serve;
pub(crate) mod sft;
pub(crate) mod status;
pub(crate) mod tokenize;
pub(crate) mod trace;
pub(crate) mod train;
pub(crate) mod verify;

use crate::arguments::Program;
use crate::failure::Failure;
use crate::ui::Ui;

/// What `ratdata` can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Bench(bench::BenchArgs),
    Cancel(cancel::CancelArgs),
    Card(card::CardArgs),
    Clean(clean::CleanArgs),
    Compare(compare::CompareArgs),
    Completions(completions::CompletionsArgs),
    Count(count::CountArgs),
    Decontaminate(Box<decontaminate::DecontaminateArgs>),
    Dedup(Box<dedup::DedupArgs>),
    Demo(demo::DemoArgs),
    Eval(Box<eval::EvalArgs>),
    Export(export::ExportArgs),
    Filter(Box<filter::FilterArgs>),
    Generate(Box<generate::GenerateArgs>),
    Import(import::ImportArgs),
    Inspect(inspect::InspectArgs),
    Logs(logs::LogsArgs),
    Manual(manual::ManualArgs),
    Merge(merge::MergeArgs),
    Mix(Box<mix::MixArgs>),
    Pack(pack::PackArgs),
    Plan(plan::PlanArgs),
    Report(report::ReportArgs),
    Run(run::RunArgs),
    #[command(hide = true)]
    Sample(sample::SampleArgs),
    Score(score::ScoreArgs),
    Serve(Box<serve::ServeArgs>),
    Sft(Box<sft::SftArgs>),
    Status(status::StatusArgs),
    Tokenize(Box<tokenize::TokenizeArgs>),
    Trace(trace::TraceArgs),
    Train(train::TrainArgs),
    Verify(verify::VerifyArgs),
}

/// Runs the command that was asked for; `program` is the whole command line.
pub(crate) fn dispatch(ui: &Ui, command: &Command, program: Program) -> Result<(), Failure> {
    match command {
        Command::Bench(args) => bench::bench(ui, args),
        Command::Cancel(args) => cancel::cancel(ui, args, program),
        Command::Card(args) => card::card(ui, args),
        Command::Clean(args) => clean::clean(ui, args, program),
        Command::Compare(args) => compare::compare(ui, args),
        Command::Completions(args) => completions::completions(args, program()),
        Command::Count(args) => count::count(ui, args),
        Command::Decontaminate(args) => decontaminate::decontaminate(ui, args),
        Command::Dedup(args) => dedup::dedup(ui, args),
        Command::Demo(args) => demo::demo(ui, args, program),
        Command::Eval(args) => eval::eval(ui, args),
        Command::Export(args) => export::export(ui, args),
        Command::Filter(args) => filter::filter(ui, args),
        Command::Generate(args) => generate::generate(ui, args),
        Command::Import(args) => import::import(ui, args),
        Command::Inspect(args) => inspect::inspect(ui, args),
        Command::Logs(args) => logs::logs(args, program),
        Command::Manual(args) => manual::manual(args, program()),
        Command::Merge(args) => merge::merge(ui, args),
        Command::Mix(args) => mix::mix(ui, args),
        Command::Pack(args) => pack::pack(ui, args),
        Command::Plan(args) => plan::plan(ui, args, program),
        Command::Report(args) => report::report(ui, args),
        Command::Run(args) => run::run(ui, args, program),
        Command::Sample(args) => sample::sample(ui, args),
        Command::Score(args) => score::score(ui, args),
        Command::Serve(args) => serve::serve(ui, args),
        Command::Sft(args) => sft::sft(ui, args),
        Command::Status(args) => status::status(ui, args, program),
        Command::Tokenize(args) => tokenize::tokenize(ui, args),
        Command::Trace(args) => trace::trace(ui, args),
        Command::Train(args) => train::train(ui, args),
        Command::Verify(args) => verify::verify(ui, args),
    }
}
