//! What a server allows, and who may ask.

use std::time::Duration;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What requests are bounded by.
    pub limits: Limits,
    /// The key that requests must have; without one everybody may ask.
    pub key: Option<ApiKey>,
}

/// What requests are bounded by, so that no client takes more than its share.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub body: usize,
    /// The longest prompt, in tokens; the model may allow less.
    pub prompt: usize,
    /// How many rows are generated or wait at a time. A row is one answer to one prompt.
    pub rows: usize,
    /// How many connections are open at a time; others wait.
    pub connections: usize,
    /// How long an answer may take.
    pub answer: Duration,
    /// How long a client may take to send a request, and how long it may not read what it was sent.
    pub client: Duration,
    /// How long answers may take to end after the server was asked to stop.
    pub grace: Duration,
}

/// A key that requests must have. It is not shown.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key.
    pub fn new(key: String) -> Self {
        Self(key)
    }

    /// Returns whether the value of an `Authorization` header has the key. The time does not depend
    /// on how much of it is right.
    pub(crate) fn admits(&self, header: Option<&[u8]>) -> bool {
        let given = header.and_then(|header| header.strip_prefix(b"Bearer ")).unwrap_or_default();
        let (given, key) = (given.trim_ascii(), self.0.as_bytes());
        let differences = key.iter().enumerate().fold(0, |differences, (place, byte)| {
            differences | (byte ^ given.get(place).copied().unwrap_or(!byte))
        });
        differences == 0 && given.len() == key.len()
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_is_admitted() {
        let key = ApiKey::new("secret".to_owned());

        assert!(key.admits(Some(b"Bearer secret")) && key.admits(Some(b"Bearer  secret ")));
        for header in ["Bearer secre", "Bearer secrets", "Bearer ", "secret", "Basic secret", ""] {
            assert!(!key.admits(Some(header.as_bytes())), "{header}");
        }
        assert!(!key.admits(None) && !format!("{key:?}").contains("secret"));
    }
}
