//! Options of every command on a pipeline: the file, its steps, and its store.

use std::path::PathBuf;

use crate::dag::error::pipeline_failure;
use crate::dag::file::Pipeline;
use crate::dag::plan::Plan;
use crate::failure::{Failure, Kind};
use crate::store::Store;
use crate::ui::Ui;

/// Returns the definitions of all commands, which are the kinds of steps too.
pub(crate) type Program = fn() -> clap::Command;

/// A pipeline, some of its steps, and its store.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PipelineArgs {
    /// The pipeline: a TOML file, or the name of one that is compiled in, such as `tiny`
    #[arg(value_name = "PIPELINE", default_value = "pipeline.toml")]
    pub(crate) pipeline: PathBuf,

    /// The steps to make, with all steps that they need [default: all]
    #[arg(value_name = "STEP")]
    pub(crate) steps: Vec<String>,

    /// Set a key of the pipeline, such as `steps.tokens.val_fraction=0.01`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// The folder of results [default: the pipeline's, or `.ratdata/store` next to it]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Read every input file, also those that look unchanged by size, times and inode
    #[arg(long)]
    pub(crate) full_hash: bool,
}

impl PipelineArgs {
    /// The pipeline at `path`, with nothing set.
    pub(crate) fn at(path: &str, store: Option<PathBuf>) -> Self {
        let (steps, set) = (Vec::new(), Vec::new());
        Self { pipeline: path.into(), steps, set, store, full_hash: false }
    }

    /// Returns whether the user named a pipeline.
    pub(crate) fn is_named(&self) -> bool {
        self.pipeline.as_os_str() != "pipeline.toml"
    }

    /// Reads the pipeline, which has a step at least, opens its store and plans it.
    pub(crate) fn plan(
        &self,
        ui: &Ui,
        program: Program,
    ) -> Result<(Pipeline, Store, Plan), Failure> {
        let (pipeline, store) = self.read(program)?;
        if pipeline.steps.is_empty() {
            let message = format!("{}: the pipeline has no step", pipeline.path.display());
            return Err(Failure::message(Kind::Usage, message).hinted(Some(
                "a step is a table such as `[steps.tokens]`, with a `kind`; `ratdata plan tiny` shows an example",
            )));
        }
        self.plan_of(ui, pipeline, store)
    }

    /// Reads the pipeline, opens what has to be a store already, and plans it; with no step nothing
    /// is planned.
    pub(crate) fn plan_in_store(
        &self,
        ui: &Ui,
        program: Program,
    ) -> Result<(Pipeline, Store, Plan), Failure> {
        let (pipeline, store) = self.read(program)?;
        check_store(&store)?;
        self.plan_of(ui, pipeline, store)
    }

    fn plan_of(
        &self,
        ui: &Ui,
        pipeline: Pipeline,
        store: Store,
    ) -> Result<(Pipeline, Store, Plan), Failure> {
        let tell = |text: &str| ui.note(text);
        let plan = Plan::of(&pipeline, &store, &self.steps, self.full_hash, &tell)
            .map_err(|wrong| pipeline_failure(&wrong))?;
        Ok((pipeline, store, plan))
    }

    /// Returns the options that another run of the same pipeline is given.
    pub(crate) fn repeated(&self) -> Vec<String> {
        // Not `--full-hash`: each of many tasks would read all inputs, which were just read.
        self.set.iter().map(|set| format!("--set={set}")).collect()
    }

    /// Reads the pipeline and opens its store.
    pub(crate) fn read(&self, program: Program) -> Result<(Pipeline, Store), Failure> {
        let pipeline = Pipeline::read(&self.pipeline, &self.set, program())
            .map_err(|wrong| pipeline_failure(&wrong))?;
        let store = Store::at(self.store.as_deref().unwrap_or(&pipeline.store));
        Ok((pipeline, store))
    }
}

/// Refuses a folder of other things, where a store is to be looked at or cleared.
pub(crate) fn check_store(store: &Store) -> Result<(), Failure> {
    let root = store.root().display();
    let (kind, message) = match store.is_one() {
        Ok(true) => return Ok(()),
        Ok(false) => {
            (Kind::Usage, format!("{root}: not a store: no run has left its records here"))
        }
        Err(wrong) => (Kind::Failed, format!("{root}: cannot read the store: {wrong}")),
    };
    Err(Failure::message(kind, message).hinted(Some(
        "`--store` names the folder of a pipeline's results, by default `.ratdata/store` next to it",
    )))
}
