//! Where Ray's job API is, and who asks, as Ray's own tools read it.

use std::env;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};
use ureq::http::Uri;

use super::error::RayError;

/// Where `ray start --head` puts the dashboard, which has the job API.
const USUAL: &str = "http://127.0.0.1:8265";

/// The variables that name the place, the first one first.
const VARIABLES: [&str; 2] = ["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"];

/// The variable with headers of every request, as JSON.
const HEADERS: &str = "RAY_JOB_HEADERS";

/// Returns where the job API is: as the user says, or the environment, or the pipeline.
///
/// # Errors
///
/// The address is none of HTTP.
pub(super) fn address(given: Option<&str>, setting: Option<&str>) -> Result<String, RayError> {
    let from = |name: &'static str| Some((name, variable(name)?));
    let found = given
        .map(|address| ("--ray-address", address.to_owned()))
        .or_else(|| VARIABLES.into_iter().find_map(from))
        .or_else(|| setting.map(|address| ("executor.ray.address", address.to_owned())));
    match found {
        None => Ok(USUAL.to_owned()),
        Some((_, address)) if address == "auto" => Ok(USUAL.to_owned()),
        Some((place, address)) => read(place, &address),
    }
}

/// Reads an address of HTTP.
fn read(place: &'static str, address: &str) -> Result<String, RayError> {
    let good = address.parse::<Uri>().is_ok_and(|address| {
        matches!(address.scheme_str(), Some("http" | "https"))
            && address.host().is_some_and(|host| !host.is_empty())
            && address.query().is_none()
    });
    if good {
        Ok(address.trim_end_matches('/').to_owned())
    } else {
        Err(RayError::Address { place, address: address.to_owned() })
    }
}

/// Returns the headers of every request: those of the environment, and the token of the cluster.
///
/// # Errors
///
/// The variable is no JSON of texts.
pub(super) fn headers() -> Result<Vec<(String, String)>, RayError> {
    let mut found = match variable(HEADERS) {
        Some(text) => read_headers(&text).ok_or(RayError::Headers { place: HEADERS })?,
        None => Vec::new(),
    };
    let has_own = found.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if let Some(token) = token().filter(|_| !has_own) {
        found.push(("authorization".into(), format!("Bearer {token}")));
    }
    Ok(found)
}

fn read_headers(text: &str) -> Option<Vec<(String, String)>> {
    let headers: Map<String, Value> = serde_json::from_str(text).ok()?;
    headers.into_iter().map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}

/// Returns the token of a cluster that asks for one: of the environment, of a file that it names, or, where the
/// environment says that there is one, of Ray's own file.
fn token() -> Option<String> {
    let mode = variable("RAY_AUTH_MODE").map(|mode| mode.to_ascii_lowercase());
    if mode.as_deref() == Some("disabled") {
        return None;
    }
    let read = |path: PathBuf| {
        let token = fs::read_to_string(path).ok()?.trim().to_owned();
        (!token.is_empty()).then_some(token)
    };
    let usual = || {
        let home = variable("HOME").filter(|_| mode.as_deref() == Some("token"))?;
        read(PathBuf::from(home).join(".ray/auth_token"))
    };
    variable("RAY_AUTH_TOKEN")
        .or_else(|| read(variable("RAY_AUTH_TOKEN_PATH")?.into()))
        .or_else(usual)
}

/// Returns a variable of the environment; one that is empty counts as one that is not set.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_http() {
        assert_eq!(read("x", "http://head:8265/").unwrap(), "http://head:8265");
        assert_eq!(read("x", "https://ray.example/prefix").unwrap(), "https://ray.example/prefix");
        for wrong in ["head:8265", "10.0.0.1:6379", "ray://head:10001", "http://", "http://h?x=1"] {
            let told = read("RAY_ADDRESS", wrong).unwrap_err();
            assert!(told.to_string().contains(&format!("RAY_ADDRESS: found `{wrong}`")), "{told}");
        }
    }

    #[test]
    fn headers_are_a_table_of_texts() {
        let headers = read_headers(r#"{"authorization": "Bearer x", "a": "b"}"#).unwrap();
        assert_eq!(headers[0], ("authorization".to_owned(), "Bearer x".to_owned()));
        assert_eq!(headers.len(), 2);
        assert!(read_headers("[1]").is_none() && read_headers("{\"a\": 1}").is_none());
    }
}
