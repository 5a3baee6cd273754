//! The HTTP client of all stores: `ureq`, which the hub's client is too, on threads of its own.
//!
//! An answer is read whole before it is handed on: what is asked for at a time is small. So a connection that
//! breaks within an answer is like one that breaks before it, and the request is made again.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use ureq::Agent;
use ureq::config::{AutoHeaderValue, RedirectAuthHeaders};
use ureq::http::Method;
use ureq::tls::{RootCerts, TlsConfig};

/// How long a store may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a store may send or take no byte.
const SILENCE: Duration = Duration::from_secs(30);

/// The most bytes of one answer; what is asked for at a time is far smaller.
const ANSWER: u64 = 1 << 30;

/// How many connections wait for the next request.
const IDLE: usize = 64;

/// Makes clients for stores.
#[derive(Debug)]
pub(crate) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_connect(Some(CONNECT))
            .timeout_resolve(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            // Bytes are asked for by their place, which a compressed answer would not have.
            .accept_encoding(AutoHeaderValue::None)
            .allow_non_standard_methods(true)
            .max_idle_connections(IDLE)
            .max_idle_connections_per_host(IDLE)
            .user_agent(concat!("ratdata/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(HttpClient::new(Service { agent: config.into() }))
    }
}

/// Makes requests.
#[derive(Debug)]
struct Service {
    agent: Agent,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let agent = self.agent.clone();
        let called = tokio::task::spawn_blocking(move || answer(&agent, parts, &body));
        called.await.map_err(|wrong| HttpError::new(HttpErrorKind::Unknown, wrong))?
    }
}

/// Makes one request, and reads its answer whole.
fn answer(
    agent: &Agent,
    parts: ureq::http::request::Parts,
    body: &Bytes,
) -> Result<HttpResponse, HttpError> {
    // Who sends a body says how long it is, also where it has no byte.
    let sends = !body.is_empty() || matches!(parts.method, Method::PUT | Method::POST);
    let request = ureq::http::Request::from_parts(parts, ());
    let answer =
        if sends { agent.run(request.map(|()| body.as_ref())) } else { agent.run(request) };
    let (parts, mut body) = answer.map_err(failure)?.into_parts();
    let bytes = body.with_config().limit(ANSWER).read_to_vec().map_err(failure)?;
    let body = Full::new(Bytes::from(bytes)).map_err(|never| match never {});
    Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
}

/// Tells whether a request may be made again.
fn failure(wrong: ureq::Error) -> HttpError {
    let kind = match &wrong {
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => HttpErrorKind::Connect,
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::Io(source) if source.kind() == io::ErrorKind::ConnectionRefused => {
            HttpErrorKind::Connect
        }
        ureq::Error::Io(_) | ureq::Error::Protocol(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, wrong)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};

    use crate::address::Address;
    use crate::object::Object;

    /// Reads a request up to its end, and returns its first line in lower case.
    fn request(stream: &TcpStream) -> String {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let first = lines.next().unwrap_or_default().to_lowercase();
        let rest: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        drop(rest);
        first
    }

    #[test]
    fn a_request_is_made_again_where_the_server_is_busy_or_breaks_off() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for (number, stream) in listener.incoming().take(5).enumerate() {
                let mut stream = stream.unwrap();
                asked.push(request(&stream));
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"e\"\r\ncontent-length: 6\r\n\r\n";
                let part = "HTTP/1.1 206 Partial Content\r\nconnection: close\r\netag: W/\"e\"\r\ncontent-range: bytes 1-3/6\r\ncontent-length: 3\r\n\r\n";
                let answer = match number {
                    0 => head.to_owned(),
                    1 => "HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                        .into(),
                    2 => format!("{part}b"),
                    3 => String::new(),
                    _ => format!("{part}bcd"),
                };
                stream.write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        let address = Address::read(&format!("http://{place}/data/x.jsonl")).unwrap().unwrap();

        let object = Object::open(&address).unwrap();
        let read = object.fetch(1..4).unwrap().wait().unwrap();

        assert_eq!((object.state().bytes, &read[..]), (6, &b"bcd"[..]));
        let asked = server.join().unwrap();
        assert_eq!(asked[0], "head /data/x.jsonl http/1.1");
        assert!(asked[1..].iter().all(|line| line.starts_with("get /data/x.jsonl")), "{asked:?}");
    }
}
