//! A small Ray for tests: it speaks the job API, and runs each job as a process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What the cluster does wrong.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    /// It is no cluster: every answer is a page.
    Page,
    /// It takes no job.
    Refuses,
    /// The first job dies with its node.
    LosesOne,
    /// It has no room for the first job in time.
    NoRoomForOne,
    /// Once it has a job, it is busy for a request.
    BusyOnce,
    /// It takes a job, and the answer gets lost.
    DropsAnswer,
}

/// A cluster; it runs until the test ends.
pub(crate) struct SmallRay {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

struct State {
    folder: PathBuf,
    fault: Fault,
    jobs: BTreeMap<String, Job>,
    /// How many more jobs may begin.
    room: usize,
    /// Whether the fault has come.
    faulted: bool,
}

/// A job that was submitted.
pub(crate) struct Job {
    pub(crate) asked: Value,
    pub(crate) status: &'static str,
    error_type: Option<&'static str>,
    exit: Option<i32>,
    process: Option<Child>,
    stopped: bool,
}

impl SmallRay {
    /// Starts a cluster with room for so many jobs before [`SmallRay::allow`]; logs are kept in a folder.
    pub(crate) fn start(folder: &Path, fault: Fault, room: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let folder = folder.join("ray-logs");
        fs::create_dir_all(&folder).unwrap();
        let state = State { folder, fault, jobs: BTreeMap::new(), room, faulted: false };
        let state = Arc::new(Mutex::new(state));
        let (answers, runs) = (state.clone(), Arc::downgrade(&state));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away in the middle is no fault of the cluster's.
                drop(answer(stream, &answers));
            }
        });
        std::thread::spawn(move || {
            while let Some(state) = runs.upgrade() {
                state.lock().unwrap().turn();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { address, state }
    }

    /// Lets so many more jobs begin.
    pub(crate) fn allow(&self, jobs: usize) {
        self.lock().room += jobs;
    }

    /// Waits until so many jobs have a status.
    pub(crate) fn wait(&self, status: &str, count: usize) {
        let begun = Instant::now();
        while self.lock().jobs.values().filter(|job| job.status == status).count() < count {
            assert!(begun.elapsed() < Duration::from_mins(1), "no {count} jobs are {status}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns what was asked for each job, by the job's name.
    pub(crate) fn asked(&self) -> BTreeMap<String, Value> {
        self.lock().jobs.iter().map(|(id, job)| (id.clone(), job.asked.clone())).collect()
    }

    /// Returns the status of each job, in the order of their names.
    pub(crate) fn statuses(&self) -> Vec<&'static str> {
        self.lock().jobs.values().map(|job| job.status).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    /// Begins jobs that wait, and looks at those that run.
    fn turn(&mut self) {
        for (id, job) in &mut self.jobs {
            if job.status == "PENDING" && job.stopped && self.room > 0 {
                job.status = "STOPPED";
            }
            if job.status == "PENDING" && self.room > 0 {
                self.room -= 1;
                let fails = match self.fault {
                    Fault::LosesOne => Some("JOB_SUPERVISOR_ACTOR_DIED"),
                    Fault::NoRoomForOne => Some("JOB_SUPERVISOR_ACTOR_START_TIMEOUT"),
                    _ => None,
                };
                match fails {
                    Some(kind) if !std::mem::replace(&mut self.faulted, true) => job.fail(kind),
                    _ => job.begin(&self.folder.join(id)),
                }
            }
            let ended = job.process.as_mut().and_then(|process| process.try_wait().unwrap());
            if let (Some(status), "RUNNING") = (ended, job.status) {
                if job.stopped {
                    job.status = "STOPPED";
                    continue;
                }
                job.exit = status.code().or(Some(-9));
                job.status = if status.success() { "SUCCEEDED" } else { "FAILED" };
                job.error_type = (!status.success()).then_some("JOB_ENTRYPOINT_COMMAND_ERROR");
            }
        }
    }
}

impl Job {
    fn begin(&mut self, log: &Path) {
        let log = File::create(log).unwrap();
        let mut command = Command::new("sh");
        command.arg("-c").arg(self.asked["entrypoint"].as_str().unwrap());
        // Ray's jobs have the environment of a node, and not that of who submits them.
        command.env("HF_HUB_OFFLINE", "1").process_group(0).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
        self.status = "RUNNING";
    }

    fn fail(&mut self, kind: &'static str) {
        (self.status, self.error_type) = ("FAILED", Some(kind));
    }

    fn listed(&self, id: &str) -> Value {
        json!({
            "type": "SUBMISSION",
            "submission_id": id,
            "status": self.status,
            "message": "as it is",
            "error_type": self.error_type,
            "driver_exit_code": self.exit,
            "metadata": self.asked["metadata"],
            "entrypoint": self.asked["entrypoint"],
        })
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let (line, body) = read_request(&stream)?;
    let mut state = state.lock().unwrap();
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if state.fault == Fault::Page {
        return respond(&mut stream, 200, "<html>\n<title>A page</title>\n</html>");
    }
    if state.fault == Fault::BusyOnce && !state.jobs.is_empty() && !state.faulted {
        state.faulted = true;
        return respond(&mut stream, 503, "starting");
    }
    let parts: Vec<&str> = path.trim_start_matches("/api/").split('/').collect();
    match (method, &parts[..]) {
        ("GET", ["version"]) => {
            respond(&mut stream, 200, &json!({"version": "4", "ray_version": "2.0.0"}).to_string())
        }
        ("GET", ["jobs", ""]) => {
            // Somebody's driver is in the list, too.
            let driver = json!({"type": "DRIVER", "job_id": "01", "status": "RUNNING"});
            let jobs = state.jobs.iter().map(|(id, job)| job.listed(id));
            let jobs: Vec<Value> = std::iter::once(driver).chain(jobs).collect();
            respond(&mut stream, 200, &Value::from(jobs).to_string())
        }
        ("POST", ["jobs", ""]) => submit(&mut stream, &mut state, &body),
        ("POST", ["jobs", id, "stop"]) => {
            let Some(job) = state.jobs.get_mut(*id) else {
                return respond(&mut stream, 404, "Job does not exist");
            };
            job.stopped = true;
            if let Some(process) = &job.process {
                let id = process.id().to_string();
                Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status()?;
            }
            respond(&mut stream, 200, "{\"stopped\": true}")
        }
        ("GET", ["jobs", id, "logs"]) => {
            let logs = fs::read_to_string(state.folder.join(id)).unwrap_or_default();
            respond(&mut stream, 200, &json!({ "logs": logs }).to_string())
        }
        _ => respond(&mut stream, 404, "404: Not Found"),
    }
}

fn submit(stream: &mut TcpStream, state: &mut State, body: &[u8]) -> std::io::Result<()> {
    let asked: Value = serde_json::from_slice(body).unwrap();
    let id = asked["submission_id"].as_str().unwrap().to_owned();
    let traceback = "Traceback (most recent call last):\n  File \"job_head.py\"\n";
    if state.fault == Fault::Refuses {
        return respond(stream, 400, &format!("{traceback}ValueError: no jobs today\n"));
    }
    if state.jobs.contains_key(&id) {
        let said = format!("{traceback}ValueError: Job with submission_id {id} already exists.");
        return respond(stream, 500, &said);
    }
    let answer = json!({"job_id": id, "submission_id": id}).to_string();
    let (error_type, exit, process) = (None, None, None);
    let job = Job { asked, status: "PENDING", error_type, exit, process, stopped: false };
    state.jobs.insert(id, job);
    if state.fault == Fault::DropsAnswer && !std::mem::replace(&mut state.faulted, true) {
        return Ok(());
    }
    respond(stream, 200, &answer)
}

/// Reads a request: its first line and its body.
fn read_request(stream: &TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((first, body))
}

fn respond(stream: &mut TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
