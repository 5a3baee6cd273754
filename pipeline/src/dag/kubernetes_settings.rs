//! What a pipeline tells Kubernetes about its steps.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::step_kind::StepKind;

/// `[executor.kubernetes]`: what the Jobs are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct KubernetesSettings {
    /// The image with the program.
    pub(crate) image: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) cpus: Option<usize>,
    pub(crate) mem: Option<String>,
    pub(crate) gpus: Option<usize>,
    /// How many tasks an indexed Job has at most.
    pub(crate) array: Option<usize>,
    /// Where the store, the pipeline and its inputs are.
    pub(crate) volumes: Vec<Volume>,
    /// The secret with the variables of object stores.
    pub(crate) secret: Option<String>,
    /// Settings of one kind of step, laid on those above.
    pub(crate) kinds: BTreeMap<StepKind, KubernetesSettings>,
}

/// A volume that a Job sees, written `CLAIM:/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) claim: String,
    pub(crate) path: String,
}

impl Volume {
    /// Reads `CLAIM:/PATH`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (claim, path) = text.split_once(':')?;
        let there = !claim.is_empty() && path.starts_with('/');
        there.then(|| Self { claim: claim.to_owned(), path: path.to_owned() })
    }
}

impl KubernetesSettings {
    /// Returns the settings for one kind of step: its own, and below them those of all kinds.
    pub(crate) fn of_kind(&self, kind: StepKind) -> Self {
        let own = self.kinds.get(&kind).cloned().unwrap_or_default();
        let below = self.clone();
        Self {
            image: own.image.or(below.image),
            namespace: below.namespace,
            cpus: own.cpus.or(below.cpus),
            mem: own.mem.or(below.mem),
            gpus: own.gpus.or(below.gpus),
            array: own.array.or(below.array),
            volumes: [below.volumes, own.volumes].concat(),
            secret: own.secret.or(below.secret),
            kinds: BTreeMap::new(),
        }
    }

    /// Returns what a container asks for, and may not exceed.
    pub(crate) fn resources(&self) -> Value {
        let (mut requests, mut limits) = (Map::new(), Map::new());
        if let Some(cpus) = self.cpus {
            requests.insert("cpu".into(), cpus.into());
        }
        if let Some(mem) = &self.mem {
            requests.insert("memory".into(), mem.as_str().into());
            limits.insert("memory".into(), mem.as_str().into());
        }
        if let Some(gpus) = self.gpus {
            limits.insert("nvidia.com/gpu".into(), gpus.into());
        }
        json!({"requests": requests, "limits": limits})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_its_own_settings_above_those_of_all() {
        let volume = |text: &str| Volume::read(text).unwrap();
        let train = KubernetesSettings {
            gpus: Some(1),
            cpus: Some(8),
            volumes: vec![volume("runs:/runs")],
            ..KubernetesSettings::default()
        };
        let settings = KubernetesSettings {
            image: Some("ratdata:1".into()),
            cpus: Some(2),
            mem: Some("4Gi".into()),
            volumes: vec![volume("data:/data")],
            kinds: BTreeMap::from([(StepKind::Train, train)]),
            ..KubernetesSettings::default()
        };

        let train = settings.of_kind(StepKind::Train);

        assert_eq!(
            train.resources(),
            json!({"requests": {"cpu": 8, "memory": "4Gi"}, "limits": {"memory": "4Gi", "nvidia.com/gpu": 1}})
        );
        assert_eq!(train.volumes, [volume("data:/data"), volume("runs:/runs")]);
        assert_eq!(settings.of_kind(StepKind::Pack).cpus, Some(2));
    }

    #[test]
    fn a_volume_has_a_claim_and_a_path() {
        assert_eq!(Volume::read("data:/data").unwrap().claim, "data");
        for wrong in ["data", ":/data", "data:data", ""] {
            assert_eq!(Volume::read(wrong), None, "{wrong}");
        }
    }
}
