//! Asks Ray's job API: submits, lists and stops jobs, and fetches their logs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::address::{address, headers};
use super::error::RayError;

/// How long the cluster may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the cluster may send no byte; a dashboard with many jobs takes its time.
const SILENCE: Duration = Duration::from_mins(1);

/// The most bytes of an answer: a list of all jobs that the cluster remembers, or a log.
const ANSWER: u64 = 256 << 20;

/// How much of what the cluster says is shown.
const SHOWN: usize = 300;

/// The job API of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    agent: Agent,
    address: String,
    headers: Vec<(String, String)>,
}

/// A job as it is submitted.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Submission {
    /// The command, for a shell.
    pub(super) entrypoint: String,
    /// Its name, which no other job of the cluster has; letters, digits and `-` alone.
    #[serde(rename = "submission_id")]
    pub(super) id: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) entrypoint_num_cpus: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entrypoint_num_gpus: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entrypoint_memory: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) entrypoint_resources: BTreeMap<String, f64>,
}

/// A job as the cluster has it; jobs that nobody submitted by this API have no such id.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) submission_id: Option<String>,
    pub(super) status: String,
    pub(super) message: Option<String>,
    pub(super) error_type: Option<String>,
    pub(super) driver_exit_code: Option<i64>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Version {
    ray_version: String,
}

#[derive(Deserialize)]
struct Logs {
    logs: String,
}

impl Cluster {
    /// The cluster that the user, the environment or the pipeline names.
    ///
    /// # Errors
    ///
    /// What names it cannot be read.
    pub(crate) fn find(given: Option<&str>, setting: Option<&str>) -> Result<Self, RayError> {
        Self::at(&address(given, setting)?)
    }

    /// The cluster at an address that was read before.
    ///
    /// # Errors
    ///
    /// The headers of the environment cannot be read.
    pub(crate) fn at(address: &str) -> Result<Self, RayError> {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_resolve(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .user_agent(concat!("ratdata/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self { agent: config.into(), address: address.to_owned(), headers: headers()? })
    }

    /// Returns where the job API is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Asks for Ray's version, as the first request to a cluster.
    pub(super) fn version(&self) -> Result<String, RayError> {
        let version: Version = self.get("/api/version", "a version")?;
        Ok(version.ray_version)
    }

    /// Lists the jobs that the cluster remembers.
    pub(super) fn jobs(&self) -> Result<Vec<Listed>, RayError> {
        self.get("/api/jobs/", "a list of jobs")
    }

    /// Submits a job.
    pub(super) fn submit(&self, job: &Submission) -> Result<(), RayError> {
        let address = format!("{}/api/jobs/", self.address);
        let body = serde_json::to_vec(job).unwrap_or_default();
        let mut request = self.agent.post(&address).header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        self.answer(request.send(&body[..])).map(drop)
    }

    /// Asks for the end of a job; one that has ended or is not known is no error.
    pub(super) fn stop(&self, id: &str) -> Result<(), RayError> {
        let mut request = self.agent.post(format!("{}/api/jobs/{id}/stop", self.address));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match self.answer(request.send_empty()) {
            Err(RayError::Refused { status, .. }) if status.as_u16() == 404 => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Fetches what a job has printed so far.
    pub(super) fn logs(&self, id: &str) -> Result<String, RayError> {
        let logs: Logs = self.get(&format!("/api/jobs/{id}/logs"), "a log")?;
        Ok(logs.logs)
    }

    fn get<T: DeserializeOwned>(&self, path: &str, expected: &'static str) -> Result<T, RayError> {
        let mut request = self.agent.get(format!("{}{path}", self.address));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut answer = self.answer(request.call())?;
        let read = answer.body_mut().with_config().limit(ANSWER).read_to_string();
        let text = read.map_err(|wrong| self.no_answer(&wrong))?;
        serde_json::from_str(&text).map_err(|_| RayError::Answer {
            address: format!("{}{path}", self.address),
            found: format!("`{}`", shown(&text)),
            expected,
        })
    }

    fn answer(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, RayError> {
        let mut answer = answer.map_err(|wrong| self.no_answer(&wrong))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let said = answer.body_mut().with_config().limit(ANSWER).read_to_string();
        Err(RayError::Refused {
            address: self.address.clone(),
            status: answer.status(),
            said: last_words(&said.unwrap_or_default()),
        })
    }

    fn no_answer(&self, wrong: &ureq::Error) -> RayError {
        RayError::NoAnswer { address: self.address.clone(), reason: wrong.to_string() }
    }
}

/// Returns the beginning of a text in one line.
pub(super) fn shown(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// Returns what a refusal says: Ray sends the traceback of Python, whose last line has the reason.
fn last_words(text: &str) -> String {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_python = lines().any(|line| line.starts_with("Traceback "));
    match lines().next_back() {
        Some(last) if is_python => shown(last),
        _ => shown(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_last_line_where_python_speaks() {
        let traceback = "Traceback (most recent call last):\n  File \"x.py\", line 1, in f\nValueError: no such thing\n";
        assert_eq!(last_words(traceback), "ValueError: no such thing");
        assert_eq!(last_words("<html>\n  <b>no</b>\n</html>"), "<html> <b>no</b> </html>");
        assert_eq!(last_words(""), "");
    }

    #[test]
    fn a_long_answer_is_cut() {
        assert_eq!(shown(&"ä".repeat(SHOWN + 1)).chars().count(), SHOWN + 1);
        assert!(shown(&"ä".repeat(SHOWN + 1)).ends_with('…'));
    }

    #[test]
    fn a_submission_says_no_more_than_it_asks_for() {
        let job = Submission {
            entrypoint: "true".into(),
            id: "a".into(),
            metadata: BTreeMap::new(),
            entrypoint_num_cpus: 2,
            entrypoint_num_gpus: None,
            entrypoint_memory: None,
            entrypoint_resources: BTreeMap::new(),
        };
        assert_eq!(
            serde_json::to_string(&job).unwrap(),
            r#"{"entrypoint":"true","submission_id":"a","metadata":{},"entrypoint_num_cpus":2}"#
        );
    }
}
