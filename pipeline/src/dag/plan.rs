//! The plan: every step in order, with its fingerprint, fresh or stale, and why.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use serde::Serialize;

use super::error::PipelineError;
use super::file::Pipeline;
use super::fingerprint::{Made, StepRecipe};
use super::graph::Graph;
use super::outside::{Content, Outside};
use super::place::place_of;
use super::step::StepId;
use super::step_kind::StepKind;
use crate::store::{SHORT, Store};

/// Whether a step's result is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Fresh,
    Stale,
}

/// The number of a step in a plan, whose steps come after their inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PlanIndex(pub(crate) usize);

/// One step of a plan.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) kind: StepKind,
    pub(crate) fingerprint: String,
    pub(crate) state: State,
    /// What makes it stale.
    pub(crate) why: Vec<Cow<'static, str>>,
    /// The steps it takes.
    pub(crate) inputs: Vec<String>,
    /// Where its result is in the store.
    pub(crate) object: String,
    #[serde(skip)]
    pub(crate) recipe: StepRecipe,
    /// What it takes from outside the pipeline.
    #[serde(skip)]
    pub(crate) contents: Vec<Arc<Content>>,
    /// Its number in the pipeline.
    #[serde(skip)]
    pub(crate) step: StepId,
    /// The steps it takes, in the plan.
    #[serde(skip)]
    pub(crate) takes: Vec<PlanIndex>,
}

/// All steps of a pipeline that are wanted, inputs first.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Planned>,
    /// How many steps are stale.
    pub(crate) stale: usize,
}

impl Plan {
    /// Plans the steps called `wanted` and what they need, or all. With `full_hash` every input file
    /// is read, and else those that the store does not know as they are. `tell` is told what takes
    /// its time.
    ///
    /// # Errors
    ///
    /// A name is of no step, steps need each other, or an input is missing.
    pub(crate) fn of(
        pipeline: &Pipeline,
        store: &Store,
        wanted: &[String],
        full_hash: bool,
        tell: &dyn Fn(&str),
    ) -> Result<Self, PipelineError> {
        let known = store.known();
        let known = if full_hash { known.distrusting() } else { known };
        let mut outside = Outside::new(&pipeline.path, &pipeline.base, &known, tell);
        let plan = Self::with(pipeline, store, wanted, &mut outside);
        // What was read is known from now on, though the plan may have failed for another reason.
        if known.reads() > 0 {
            store.keep_known(&known);
        }
        plan
    }

    fn with(
        pipeline: &Pipeline,
        store: &Store,
        wanted: &[String],
        outside: &mut Outside<'_>,
    ) -> Result<Self, PipelineError> {
        let graph = Graph::new(
            pipeline
                .steps
                .iter()
                .map(|step| step.inputs.iter().map(|input| input.0).collect())
                .collect(),
        );
        let name = |number: usize| pipeline.steps[number].name.clone();
        let order = graph.order().map_err(|cycle| PipelineError::Cycle {
            place: place_of(&pipeline.path, &["steps", &name(cycle[0])]),
            chain: cycle.into_iter().map(name).collect(),
        })?;
        let asked = wanted.iter().map(|name| pipeline.step(name)).collect::<Result<Vec<_>, _>>()?;
        let asked: Vec<usize> = asked.into_iter().map(|StepId(number)| number).collect();
        let keep = if asked.is_empty() { vec![true; order.len()] } else { graph.closure(&asked) };
        let (objects, remembered) = (store.objects(), store.remembered(&pipeline.identity));
        let mut places: HashMap<usize, PlanIndex> = HashMap::new();
        // There may be a great many: a vector that grows has room for twice as many for a moment.
        let mut steps: Vec<Planned> = Vec::with_capacity(keep.iter().filter(|kept| **kept).count());
        for number in order.into_iter().filter(|&number| keep[number]) {
            let step = &pipeline.steps[number];
            let takes: Vec<PlanIndex> = graph
                .inputs(number)
                .iter()
                .filter_map(|input| places.get(input).copied())
                .collect();
            let contents = outside.of(step)?;
            let files = contents
                .iter()
                .map(|content| (content.name.clone(), content.checksum.as_str().to_owned()));
            let results = takes.iter().map(|&PlanIndex(take)| {
                (format!("@{}", steps[take].name), steps[take].fingerprint.clone())
            });
            let recipe = StepRecipe {
                kind: step.kind,
                version: step.kind.version(),
                config: step.config.clone(),
                inputs: files.chain(results).collect(),
            };
            let known = remembered.contains(&step.name);
            let last = || -> Option<Made> {
                known.then(|| store.last(&pipeline.identity, &step.name)).flatten()
            };
            let fingerprint = recipe.fingerprint();
            let object = format!("{}-{}-{fingerprint:.SHORT$}", recipe.kind, step.name);
            let fresh = objects.contains(&object);
            let why = if fresh { Vec::new() } else { why(&recipe, last().as_ref(), &contents) };
            places.insert(number, PlanIndex(steps.len()));
            steps.push(Planned {
                name: step.name.clone(),
                kind: step.kind,
                fingerprint,
                state: if fresh { State::Fresh } else { State::Stale },
                why,
                inputs: takes.iter().map(|take| steps[take.0].name.clone()).collect(),
                object,
                recipe,
                contents,
                step: StepId(number),
                takes,
            });
        }
        let stale = steps.iter().filter(|step| step.state == State::Stale).count();
        Ok(Self { steps, stale })
    }

    /// Returns the numbers of all steps, in their order.
    pub(crate) fn indexes(&self) -> impl Iterator<Item = PlanIndex> + use<> {
        (0..self.steps.len()).map(PlanIndex)
    }

    /// Returns the names of all results that the plan refers to.
    pub(crate) fn objects(&self) -> BTreeSet<String> {
        self.steps.iter().map(|step| step.object.clone()).collect()
    }
}

/// Says why a step has no result: what differs from what it was last made from.
fn why(
    recipe: &StepRecipe,
    last: Option<&Made>,
    contents: &[Arc<Content>],
) -> Vec<Cow<'static, str>> {
    let Some(last) = last else { return vec!["never made".into()] };
    match recipe.changes(last, contents) {
        changes if changes.is_empty() => vec!["its result is gone".into()],
        changes => changes.into_iter().map(Cow::Owned).collect(),
    }
}

impl Index<PlanIndex> for Plan {
    type Output = Planned;

    fn index(&self, PlanIndex(number): PlanIndex) -> &Planned {
        &self.steps[number]
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or(0).max(4);
        writeln!(f, "{:<width$}  {:<9} {:<12}  state", "step", "kind", "fingerprint")?;
        for step in &self.steps {
            let state = if step.state == State::Fresh { "fresh" } else { "stale" };
            write!(f, "{:<width$}  {:<9} {:.12}  {state}", step.name, step.kind, step.fingerprint)?;
            match step.why.as_slice() {
                [] => writeln!(f)?,
                [first, rest @ ..] => {
                    writeln!(f, "  {first}")?;
                    for why in rest {
                        writeln!(f, "{:width$}  {:<9} {:<12}         {why}", "", "", "")?;
                    }
                }
            }
        }
        write!(f, "{} of {} steps are stale", self.stale, self.steps.len())
    }
}
