//! What a pipeline tells a cluster about its steps.

use std::collections::BTreeMap;

use super::step_kind::StepKind;

/// `[executor.slurm]`: what `sbatch` is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlurmSettings {
    pub(crate) partition: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) time: Option<String>,
    pub(crate) cpus: Option<usize>,
    pub(crate) mem: Option<String>,
    pub(crate) gres: Option<String>,
    /// Options of `sbatch` as they are, such as `--constraint=ssd`.
    pub(crate) extra: Vec<String>,
    /// Shell lines that come before the step.
    pub(crate) setup: Vec<String>,
    /// How many tasks an array has at most; the cluster's `MaxArraySize` where it is less.
    pub(crate) array: Option<usize>,
    /// Settings of one kind of step, laid on those above.
    pub(crate) kinds: BTreeMap<StepKind, SlurmSettings>,
}

impl SlurmSettings {
    /// Returns the settings for one kind of step: its own, and below them those of all kinds.
    pub(crate) fn of_kind(&self, kind: StepKind) -> Self {
        let own = self.kinds.get(&kind).cloned().unwrap_or_default();
        let below = self.clone();
        Self {
            partition: own.partition.or(below.partition),
            account: own.account.or(below.account),
            time: own.time.or(below.time),
            cpus: own.cpus.or(below.cpus),
            mem: own.mem.or(below.mem),
            gres: own.gres.or(below.gres),
            extra: [below.extra, own.extra].concat(),
            setup: [below.setup, own.setup].concat(),
            array: own.array.or(below.array),
            kinds: BTreeMap::new(),
        }
    }

    /// Returns the lines that tell `sbatch` what the job needs.
    pub(crate) fn directives(&self) -> String {
        let named = [
            ("partition", self.partition.clone()),
            ("account", self.account.clone()),
            ("time", self.time.clone()),
            ("cpus-per-task", self.cpus.map(|cpus| cpus.to_string())),
            ("mem", self.mem.clone()),
            ("gres", self.gres.clone()),
        ];
        let named = named
            .into_iter()
            .filter_map(|(name, value)| Some(format!("#SBATCH --{name}={}\n", value?)));
        let extra = self.extra.iter().map(|option| format!("#SBATCH {option}\n"));
        named.chain(extra).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_its_own_settings_above_those_of_all() {
        let train =
            SlurmSettings { cpus: Some(8), gres: Some("gpu:1".into()), ..SlurmSettings::default() };
        let settings = SlurmSettings {
            partition: Some("main".into()),
            cpus: Some(2),
            setup: vec!["module load x".into()],
            kinds: BTreeMap::from([(StepKind::Train, train)]),
            ..SlurmSettings::default()
        };

        assert_eq!(
            settings.of_kind(StepKind::Train).directives(),
            "#SBATCH --partition=main\n#SBATCH --cpus-per-task=8\n#SBATCH --gres=gpu:1\n"
        );
        assert_eq!(settings.of_kind(StepKind::Pack).cpus, Some(2));
        assert_eq!(settings.of_kind(StepKind::Train).setup, ["module load x"]);
    }
}
