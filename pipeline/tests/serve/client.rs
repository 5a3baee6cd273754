//! A client of the server: one connection a request, and nothing that a real client would forgive.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|wrong| panic!("{wrong}: {}", self.body))
    }

    /// The events of a stream, and whether it was told to be whole.
    pub(crate) fn events(&self) -> (Vec<Value>, bool) {
        let mut events: Vec<&str> = self
            .body
            .split("\n\n")
            .filter(|event| !event.is_empty())
            .map(|event| event.strip_prefix("data: ").unwrap())
            .collect();
        let is_whole = events.pop_if(|event| *event == "[DONE]").is_some();
        (events.into_iter().map(|event| serde_json::from_str(event).unwrap()).collect(), is_whole)
    }
}

/// Asks a server on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) key: Option<String>,
}

impl Client {
    /// Sends bytes, and reads until the server closes the connection; none where it breaks.
    pub(crate) fn raw(&self, request: &[u8]) -> Option<Reply> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        // The server may have refused the head already.
        drop(stream.write_all(request));
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        reply(&bytes)
    }

    /// Sends a request and hangs up after some bytes of the answer.
    pub(crate) fn hang_up(&self, path: &str, body: &Value, after: usize) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(&self.request("POST", path, body.to_string().as_bytes())).unwrap();
        let mut bytes = vec![0; after];
        drop(stream.read(&mut bytes));
        drop(stream.shutdown(Shutdown::Both));
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let key = self.key.as_ref().map(|key| format!("Authorization: Bearer {key}\r\n"));
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}Content-Length: {}\r\n\r\n",
            key.unwrap_or_default(),
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        request
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.raw(&self.request("GET", path, b"")).unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.raw(&self.request("POST", path, body.to_string().as_bytes())).unwrap()
    }

    /// Asks for a completion, which must be there.
    pub(crate) fn complete(&self, body: &Value) -> Value {
        let reply = self.post("/v1/completions", body);
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    /// A number of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
    }
}

fn reply(bytes: &[u8]) -> Option<Reply> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { unchunked(body)? } else { body.to_owned() };
    Some(Reply { status, head: head.to_owned(), body })
}

/// Joins the chunks of a body; none where the last one is missing.
fn unchunked(body: &str) -> Option<String> {
    let (mut joined, mut rest) = (String::new(), body);
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(joined);
        }
        joined.push_str(after.get(..size)?);
        rest = after.get(size + 2..)?;
    }
}
