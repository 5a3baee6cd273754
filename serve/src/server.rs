//! The server: it listens, gives each connection a task, and ends when it is asked to or when the model's
//! process has ended.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{future, io};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use crate::engine::{Engine, ModelLink};
use crate::metrics::Metrics;
use crate::model::{ServedModel, now};
use crate::routes::{self, Service};
use crate::settings::Settings;
use crate::timed_stream::TimedStream;

/// How often the server looks whether it is to end.
const TICK: Duration = Duration::from_millis(50);

/// How long it waits where the system has no more files for connections.
const NO_FILES: Duration = Duration::from_millis(100);

/// How many threads answer requests. The model is in another process, which has the other processors.
const THREADS: usize = 2;

/// Why a server ends.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is no address.
    #[error("`{host}`: no such address: {reason}")]
    Host {
        /// The address.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// Another program has the port.
    #[error("{address}: the port is in use")]
    InUse {
        /// The address with the port.
        address: SocketAddr,
    },
    /// The system does not let the server listen.
    #[error("{address}: cannot listen: {reason}")]
    Listen {
        /// The address with the port.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
    },
    /// The system gives no threads.
    #[error("cannot start the server's threads: {0}")]
    Threads(io::Error),
    /// The process with the model has ended.
    #[error("the model's process has ended")]
    ModelEnded,
}

impl ServeError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Host { .. } => Some("name an address of this machine, such as 127.0.0.1"),
            Self::InUse { .. } => Some("choose another `--port`; with 0 the system chooses one"),
            Self::Listen { .. } | Self::Threads(_) | Self::ModelEnded => None,
        }
    }
}

/// A server that has its port, and takes connections when it is run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes a port; 0 takes a free one.
    ///
    /// # Errors
    /// Returns [`ServeError`] where the address is none of this machine's, or the port is in use.
    pub fn bind(host: &str, port: u16) -> Result<Self, ServeError> {
        let unknown = |reason: String| ServeError::Host { host: host.to_owned(), reason };
        let addresses = (host, port).to_socket_addrs();
        let address = addresses.map_err(|wrong| unknown(wrong.to_string()))?.next();
        let address = address.ok_or_else(|| unknown("it has no address".to_owned()))?;
        let listen = |reason: io::Error| match reason.kind() {
            io::ErrorKind::AddrInUse => ServeError::InUse { address },
            _ => ServeError::Listen { address, reason },
        };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, address })
    }

    /// Returns the address with the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` is set. Answers that are being made may end then, for some time.
    ///
    /// # Errors
    /// Returns [`ServeError`] where the process with the model ends.
    pub fn run(
        self,
        model: ServedModel,
        link: ModelLink,
        settings: Settings,
        stop: &'static AtomicBool,
    ) -> Result<(), ServeError> {
        let metrics = Arc::new(Metrics::default());
        let engine = Engine::start(link, settings.limits.rows, metrics.clone());
        let service = Service {
            model: Arc::new(model),
            engine: engine.map_err(ServeError::Threads)?,
            metrics,
            settings,
            started: now(),
            requests: AtomicU64::new(0),
        };
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(THREADS).enable_io().enable_time().build();
        let runtime = runtime.map_err(ServeError::Threads)?;
        let (listener, address) = (self.listener, self.address);
        let served = runtime.block_on(serve(listener, address, Arc::new(service), stop));
        // A template that runs for ever does not keep the program.
        runtime.shutdown_background();
        served
    }
}

async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
    stop: &AtomicBool,
) -> Result<(), ServeError> {
    let listener = tokio::net::TcpListener::from_std(listener)
        .map_err(|reason| ServeError::Listen { address, reason })?;
    let room = Arc::new(Semaphore::new(service.settings.limits.connections));
    let (ending, ends) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut tick = interval(TICK);
    loop {
        service.metrics.set_connections(connections.len());
        let accept = async {
            let permit = room.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        tokio::select! {
            (accepted, permit) = accept => match (accepted, permit) {
                (Ok((stream, _)), Ok(permit)) => {
                    let (service, ends) = (service.clone(), ends.clone());
                    connections.spawn(async move {
                        connection(stream, service, ends).await;
                        drop(permit);
                    });
                }
                // The client has gone already, or the system has no more files.
                _ => sleep(NO_FILES).await,
            },
            Some(_) = connections.join_next() => {}
            _ = tick.tick() => {
                if stop.load(Ordering::Relaxed) || service.engine.is_gone() {
                    break;
                }
            }
        }
    }
    drop(listener);
    // Connections without a request close at once, the others after their answers.
    ending.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Whatever is not done by then is cut.
    drop(timeout(service.settings.limits.grace, ended).await);
    if service.engine.is_gone() { Err(ServeError::ModelEnded) } else { Ok(()) }
}

/// Answers the requests of one connection.
async fn connection(stream: TcpStream, service: Arc<Service>, mut ends: watch::Receiver<bool>) {
    // Pieces of a stream are small, and wanted at once.
    drop(stream.set_nodelay(true));
    let patience = service.settings.limits.client;
    let stream = TokioIo::new(TimedStream::new(stream, patience));
    let answer = service_fn(move |request| routes::answer(service.clone(), request));
    let mut http = http1::Builder::new();
    let http = http.timer(TokioTimer::new()).header_read_timeout(patience);
    let connection = http.serve_connection(stream, answer);
    let mut connection = std::pin::pin!(connection);
    let asked = async {
        if ends.wait_for(|&ends| ends).await.is_err() {
            future::pending::<()>().await;
        }
    };
    tokio::select! {
        // A connection that breaks is its client's affair.
        done = connection.as_mut() => return drop(done),
        () = asked => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}
