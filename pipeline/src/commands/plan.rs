//! `ratdata plan`: what a run would do, and why.

use clap::ValueEnum;

use crate::arguments::{PipelineArgs, Program};
use crate::dag::draw;
use crate::failure::{Failure, Kind};
use crate::ui::Ui;

/// Show what a run would make, and why
///
/// Lists the steps in order with their fingerprints. A step is stale if its result is missing. Then
/// the plan shows which value or input changed since the last run, old -> new.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  ratdata plan tiny\n  ratdata plan pipeline.toml --check\n  ratdata plan --graph svg > graph.svg"
)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// Exit with status 4 if a step is stale
    #[arg(long)]
    check: bool,

    /// Draw the graph instead
    #[arg(long, value_enum, value_name = "FORM")]
    graph: Option<GraphArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum GraphArg {
    /// A Mermaid flow chart
    Mermaid,
    /// Graphviz's language
    Dot,
    /// A picture for browsers
    Svg,
}

/// Runs the command.
pub(crate) fn plan(ui: &Ui, args: &PlanArgs, program: Program) -> Result<(), Failure> {
    let (pipeline, _, plan) = args.pipeline.plan(ui, program)?;
    match args.graph {
        None => ui.emit(&plan)?,
        Some(GraphArg::Mermaid) => Ui::print(&draw::mermaid(&plan))?,
        Some(GraphArg::Dot) => Ui::print(&draw::dot(&plan))?,
        Some(GraphArg::Svg) => Ui::print(&draw::svg(&plan))?,
    }
    if args.check && plan.stale > 0 {
        let message = format!("{}: {} steps are stale", pipeline.path.display(), plan.stale);
        return Err(Failure::message(Kind::Stale, message));
    }
    Ok(())
}
