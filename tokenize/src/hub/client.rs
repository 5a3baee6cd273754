//! Asks the hub: lists folders, reads a file's checksum, and fetches ranges of bytes.
//!
//! The variables are those of Python's `huggingface_hub`: `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`,
//! `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HOME`, `HF_HUB_CACHE` and `HF_HUB_DOWNLOAD_TIMEOUT`.

use std::env;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{HeaderMap, Response, StatusCode, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};

use super::error::HubError;
use super::repo::{Entry, Repo, RepoKind};

/// The hub that everybody means.
const ENDPOINT: &str = "https://huggingface.co";

/// How long the hub may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Where the hub is.
const ENDPOINT_VARIABLE: &str = "HF_ENDPOINT";

/// For how many seconds the hub may send nothing; Python's `huggingface_hub` reads the same.
const SILENCE_VARIABLE: &str = "HF_HUB_DOWNLOAD_TIMEOUT";

/// How long the hub may send no byte, where the variable says nothing. A slow answer has any time.
const SILENCE: Duration = Duration::from_secs(20);

/// The most bytes of one page of a listing; the hub's pages have a thousand entries.
const PAGE_BYTES: u64 = 64 << 20;

/// How many redirects to another address of the hub itself are followed when a checksum is asked for.
const REDIRECTS: usize = 5;

/// What stands for itself in a path: all else is written as `%XX`.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What stands for itself in a revision, which is one segment of a path.
const SEGMENT: &AsciiSet = &PATH.add(b'/');

/// A connection to the hub, with the user's token.
#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
    silence: Duration,
}

/// Why the hub gave no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It answered with a status that is no success.
    Status(StatusCode),
    /// It accepted the request, and sent no byte for too long.
    Silent,
    /// There was no whole answer: no connection, or something that is not the hub's.
    NoAnswer(String),
}

/// What the hub says of a file's content.
#[derive(Debug)]
pub(super) struct Metadata {
    /// The content's checksum or object id.
    pub(super) etag: String,
    /// The commit that the revision stands for today.
    pub(super) commit: String,
}

/// One entry of a listing.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Listed {
    File {
        path: String,
        size: u64,
        oid: String,
    },
    #[serde(other)]
    Other,
}

impl Client {
    /// A client of the hub that the environment names.
    ///
    /// # Errors
    ///
    /// A variable has no value that can be used.
    pub(super) fn from_env() -> Result<Self, HubError> {
        let silence = silence(variable(SILENCE_VARIABLE).as_deref())?;
        let endpoint = endpoint(variable(ENDPOINT_VARIABLE))?;
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_connect(Some(CONNECT.min(silence)))
            .timeout_resolve(Some(CONNECT))
            .timeout_per_read(Some(silence))
            .timeout_per_write(Some(silence))
            .user_agent(concat!("ratdata/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self { agent: config.into(), endpoint, token: token(), silence })
    }

    /// Returns for how long the hub may send no byte.
    pub(super) fn silence(&self) -> Duration {
        self.silence
    }

    /// Returns whether the user's token is sent.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Returns the hub's address.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Lists the files below a folder of a repository, or in it alone.
    pub(super) fn list(
        &self,
        repo: Repo<'_>,
        folder: &str,
        recursive: bool,
    ) -> Result<Vec<Entry>, Refusal> {
        let below = if folder.is_empty() { String::new() } else { format!("/{}", encoded(folder)) };
        let mut page = Some(format!(
            "{}/api/{}/{}/tree/{}{below}?recursive={recursive}",
            self.endpoint,
            repo.kind.folder(),
            encoded(repo.id),
            utf8_percent_encode(repo.revision, SEGMENT),
        ));
        let mut files = Vec::new();
        while let Some(address) = page {
            let mut answer = self.get(&address, None)?;
            let listed: Vec<Listed> =
                answer.body_mut().with_config().limit(PAGE_BYTES).read_json().map_err(no_answer)?;
            files.extend(listed.into_iter().filter_map(|entry| match entry {
                Listed::File { path, size, oid } => Some(Entry { path, bytes: size, oid }),
                Listed::Other => None,
            }));
            page = next_page(answer.headers());
        }
        files.sort();
        Ok(files)
    }

    /// Asks what a file's content is.
    ///
    /// The answer is the hub's own; the store that it redirects to knows another checksum.
    pub(super) fn metadata(&self, repo: Repo<'_>, path: &str) -> Result<Metadata, Refusal> {
        let mut address = self.file_address(repo, path);
        for _ in 0..REDIRECTS {
            let request = self.agent.head(&address).config().max_redirects(0).build();
            let answer = self.authorized(request).call().map_err(no_answer)?;
            let headers = answer.headers();
            // A repository that was renamed answers with its new path.
            if let Some(path) = header(headers, "location").filter(|to| to.starts_with('/')) {
                address = format!("{}{path}", self.endpoint);
                continue;
            }
            if !answer.status().is_success() && !answer.status().is_redirection() {
                return Err(Refusal::Status(answer.status()));
            }
            let etag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag"));
            let etag = etag.unwrap_or_default();
            return Ok(Metadata {
                etag: etag.trim_start_matches("W/").trim_matches('"').to_owned(),
                commit: header(headers, "x-repo-commit").unwrap_or_default().to_owned(),
            });
        }
        Err(Refusal::NoAnswer(format!("more than {REDIRECTS} redirects")))
    }

    /// Fetches a range of a file's bytes; a server that knows no ranges answers with the whole file,
    /// of which at most `whole` bytes are read.
    pub(super) fn block(
        &self,
        repo: Repo<'_>,
        path: &str,
        range: &Range<u64>,
        whole: u64,
    ) -> Result<Vec<u8>, Refusal> {
        let address = self.file_address(repo, path);
        let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let mut answer = self.get(&address, Some(&bytes))?;
        answer
            .body_mut()
            .with_config()
            .limit(whole.saturating_add(1))
            .read_to_vec()
            .map_err(no_answer)
    }

    fn file_address(&self, repo: Repo<'_>, path: &str) -> String {
        let kind = match repo.kind {
            RepoKind::Model => "",
            RepoKind::Dataset => "datasets/",
        };
        let revision = utf8_percent_encode(repo.revision, SEGMENT);
        format!("{}/{kind}{}/resolve/{revision}/{}", self.endpoint, encoded(repo.id), encoded(path))
    }

    fn get(&self, address: &str, range: Option<&str>) -> Result<Response<Body>, Refusal> {
        let mut request = self.authorized(self.agent.get(address));
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let answer = request.call().map_err(no_answer)?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(Refusal::Status(answer.status()))
        }
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }
}

/// Returns a file of the cache that Python's `huggingface_hub` keeps; none where it has not fetched it.
pub(super) fn shared_cache(repo: Repo<'_>, path: &str) -> Option<PathBuf> {
    let kind = match repo.kind {
        RepoKind::Model => hf_hub::RepoType::Model,
        RepoKind::Dataset => hf_hub::RepoType::Dataset,
    };
    let cache = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE"));
    let cache = cache.map_or_else(|| home().join("hub"), PathBuf::from);
    let named = hf_hub::Repo::with_revision(repo.id.to_owned(), kind, repo.revision.to_owned());
    let cache = hf_hub::Cache::new(cache).repo(named);
    // A revision is a branch or a tag, which the cache knows the commit of, or a commit.
    let by_commit = || Some(cache.pointer_path(repo.revision).join(path)).filter(|at| at.is_file());
    cache.get(path).or_else(by_commit)
}

/// Returns where the hub's clients keep their files: `$HF_HOME`, or its usual place.
pub(super) fn home() -> PathBuf {
    let usual = || {
        let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")));
        cache.unwrap_or_else(|| PathBuf::from(".cache")).join("huggingface")
    };
    variable("HF_HOME").map_or_else(usual, PathBuf::from)
}

/// Returns the user's token: of the environment, or of the file that `hf auth login` writes.
fn token() -> Option<String> {
    if variable("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some() {
        return None;
    }
    let read = |path: PathBuf| {
        let token = fs::read_to_string(path).ok()?.trim().to_owned();
        (!token.is_empty()).then_some(token)
    };
    variable("HF_TOKEN")
        .or_else(|| read(variable("HF_TOKEN_PATH")?.into()))
        .or_else(|| read(home().join("token")))
}

/// Reads for how long the hub may send no byte.
fn silence(value: Option<&str>) -> Result<Duration, HubError> {
    let Some(value) = value else { return Ok(SILENCE) };
    let seconds = value.trim().parse::<f64>().ok().filter(|seconds| LIMITS.contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| HubError::Variable {
        name: SILENCE_VARIABLE,
        value: value.to_owned(),
        expected: "a number of seconds above 0, such as `20`",
    })
}

/// The seconds that a wait may be told to have: up to a day.
const LIMITS: std::ops::RangeInclusive<f64> = 0.001..=86_400.0;

/// Reads where the hub is.
fn endpoint(value: Option<String>) -> Result<String, HubError> {
    let Some(value) = value else { return Ok(ENDPOINT.to_owned()) };
    let good = value.parse::<Uri>().is_ok_and(|address| {
        matches!(address.scheme_str(), Some("http" | "https"))
            && address.host().is_some_and(|host| !host.is_empty())
    });
    if good {
        return Ok(value.trim_end_matches('/').to_owned());
    }
    Err(HubError::Variable {
        name: ENDPOINT_VARIABLE,
        value,
        expected: "the address of a hub, such as `https://huggingface.co`",
    })
}

/// Returns a variable of the environment; one that is empty counts as one that is not set.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn encoded(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the address that a `Link: <…>; rel="next"` header names.
fn next_page(headers: &HeaderMap) -> Option<String> {
    header(headers, "link")?.split(',').find_map(|link| {
        let (address, parameters) = link.split_once('>')?;
        let is_next = parameters.contains("rel=\"next\"") || parameters.contains("rel=next");
        is_next.then(|| address.trim().trim_start_matches('<').to_owned())
    })
}

fn no_answer(wrong: ureq::Error) -> Refusal {
    match wrong {
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            Refusal::NoAnswer("no connection in time".into())
        }
        ureq::Error::Timeout(_) => Refusal::Silent,
        // While a body is read, the time that is over comes as the reader's.
        ureq::Error::Io(wrong) if wrong.kind() == io::ErrorKind::TimedOut => Refusal::Silent,
        wrong => Refusal::NoAnswer(wrong.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_names_its_next_page() {
        let mut headers = HeaderMap::new();
        assert_eq!(next_page(&headers), None);
        let link = "<https://hub/a?cursor=1>; rel=\"prev\", <https://hub/a?cursor=3>; rel=\"next\"";
        headers.insert("link", link.parse().unwrap());
        assert_eq!(next_page(&headers).as_deref(), Some("https://hub/a?cursor=3"));
    }

    #[test]
    fn an_address_is_written_so_that_every_name_is_one_path() {
        let client = Client {
            agent: Agent::new_with_defaults(),
            endpoint: "https://hub".into(),
            token: None,
            silence: SILENCE,
        };
        let repo = Repo { kind: RepoKind::Dataset, id: "some/corpus", revision: "refs/pr/1" };
        assert_eq!(
            client.file_address(repo, "a b/50%#1?.txt"),
            "https://hub/datasets/some/corpus/resolve/refs%2Fpr%2F1/a%20b/50%25%231%3F.txt"
        );
    }

    #[test]
    fn what_a_variable_cannot_be_is_told_with_its_value() {
        for value in ["notaurl", "ftp://hub", "http://", "/hub", "huggingface.co"] {
            let refused = endpoint(Some(value.to_owned())).unwrap_err();
            assert!(refused.to_string().contains(&format!("`{value}`")), "{refused}");
            assert!(refused.is_usage());
        }
        let local = endpoint(Some("http://127.0.0.1:8080/hub/".to_owned())).unwrap();
        assert_eq!(local, "http://127.0.0.1:8080/hub");

        for value in ["0", "-1", "soon", "NaN", "1e300"] {
            assert!(silence(Some(value)).is_err(), "{value}");
        }
        assert_eq!(silence(Some("0.5")).unwrap(), Duration::from_millis(500));
        assert_eq!(silence(None).unwrap(), SILENCE);
    }
}
