//! What a pipeline tells a Ray cluster about its steps.

use std::collections::BTreeMap;

use super::step_kind::StepKind;

/// `[executor.ray]`: what the jobs are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct RaySettings {
    /// Where Ray's job API is, unless the user says where.
    pub(crate) address: Option<String>,
    pub(crate) cpus: Option<usize>,
    pub(crate) gpus: Option<f64>,
    /// Bytes of memory.
    pub(crate) mem: Option<u64>,
    /// Resources that the cluster's nodes have by name, such as `nvme`, and how much of each.
    pub(crate) resources: BTreeMap<String, f64>,
    /// How many shares a step has at most.
    pub(crate) array: Option<usize>,
    /// The program on the cluster's nodes.
    pub(crate) program: Option<String>,
    /// Shell lines that come before the step.
    pub(crate) setup: Vec<String>,
    /// Settings of one kind of step, laid on those above.
    pub(crate) kinds: BTreeMap<StepKind, RaySettings>,
}

impl RaySettings {
    /// Returns the settings for one kind of step: its own, and below them those of all kinds.
    pub(crate) fn of_kind(&self, kind: StepKind) -> Self {
        let own = self.kinds.get(&kind).cloned().unwrap_or_default();
        let below = self.clone();
        Self {
            address: below.address,
            cpus: own.cpus.or(below.cpus),
            gpus: own.gpus.or(below.gpus),
            mem: own.mem.or(below.mem),
            resources: below.resources.into_iter().chain(own.resources).collect(),
            array: own.array.or(below.array),
            program: own.program.or(below.program),
            setup: [below.setup, own.setup].concat(),
            kinds: BTreeMap::new(),
        }
    }

    /// Returns the processors of a job.
    ///
    /// Ray runs a job that asks for nothing on the head's node, next to all others that ask for nothing.
    pub(crate) fn cpus(&self) -> usize {
        self.cpus.unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_its_own_settings_above_those_of_all() {
        let resources = |all: &[(&str, f64)]| -> BTreeMap<String, f64> {
            all.iter().map(|&(name, amount)| (name.to_owned(), amount)).collect()
        };
        let train = RaySettings {
            gpus: Some(0.5),
            resources: resources(&[("nvme", 2.0), ("a100", 1.0)]),
            setup: vec!["module load cuda".into()],
            ..RaySettings::default()
        };
        let settings = RaySettings {
            cpus: Some(4),
            mem: Some(8 << 30),
            resources: resources(&[("nvme", 1.0)]),
            setup: vec!["export HF_HOME=/hub".into()],
            kinds: BTreeMap::from([(StepKind::Train, train)]),
            ..RaySettings::default()
        };

        let train = settings.of_kind(StepKind::Train);

        assert_eq!((train.cpus(), train.gpus, train.mem), (4, Some(0.5), Some(8 << 30)));
        assert_eq!(train.resources, resources(&[("nvme", 2.0), ("a100", 1.0)]));
        assert_eq!(train.setup, ["export HF_HOME=/hub", "module load cuda"]);
        assert_eq!(settings.of_kind(StepKind::Pack).gpus, None);
        assert_eq!(RaySettings::default().cpus(), 1);
    }
}
