//! Rows of all requests go to the model's process, and its events come back to the requests.
//!
//! A *row* is one answer to one prompt. The process works on several rows at a time; others wait there.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use ratdata_schemas::{
    EndReason, GenerationAsk, GenerationEvent, GenerationRequest, TokenId, TokenLogprob,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::metrics::Metrics;

/// The way to the process that has the model.
pub struct ModelLink {
    /// Takes [`GenerationAsk`]s as JSON lines.
    pub asks: Box<dyn Write + Send>,
    /// Gives [`GenerationEvent`]s as JSON, and is closed when the process ends.
    pub events: Receiver<String>,
}

/// What happens to a row.
#[derive(Clone, Debug)]
pub(crate) enum RowEvent {
    /// The model's probabilities of the prompt's tokens but the first.
    Prompt(Vec<TokenLogprob>),
    /// A new token.
    Token(TokenId),
    /// A new token with its log-probability; the one that ends the text, too.
    Logprob(TokenLogprob),
    /// The last event.
    Ended(EndReason),
    /// The last event: the process cannot do it.
    Refused { reason: String },
    /// The last event: the process has ended.
    Gone,
}

/// Why rows are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// So many rows are open that no more are taken.
    Full,
    /// The process has ended.
    Gone,
}

/// The rows that are open, and the way to the process.
pub(crate) struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    asks: Sender<GenerationAsk>,
    open: Mutex<OpenRows>,
    /// How many rows may be open.
    most: usize,
    gone: AtomicBool,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct OpenRows {
    next: u64,
    rows: HashMap<u64, OpenRow>,
}

struct OpenRow {
    events: UnboundedSender<(usize, RowEvent)>,
    /// The number of the row in its request.
    place: usize,
}

impl Engine {
    /// Starts the threads that write to the process and read from it.
    pub(crate) fn start(link: ModelLink, most: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (asks, asked) = channel();
        let (open, gone) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { asks, open, most, gone, metrics });
        let ModelLink { asks: out, events } = link;
        thread::Builder::new().name("asks".into()).spawn(move || write(out, &asked))?;
        let reader = shared.clone();
        let read = move || {
            for line in events {
                // Another version's process: nothing that it says can be relied on.
                let Ok(event) = serde_json::from_str(&line) else { break };
                reader.dispatch(event);
            }
            reader.end();
        };
        thread::Builder::new().name("events".into()).spawn(read)?;
        Ok(Self { shared })
    }

    /// Gives rows to the process; their own ids are replaced.
    pub(crate) fn submit(&self, rows: Vec<GenerationRequest>) -> Result<Answers, NotTaken> {
        let shared = &self.shared;
        let (sender, events) = unbounded_channel();
        let mut open = shared.open();
        // Looked at under the lock, after which the end of the process reaches every open row.
        if shared.gone.load(Ordering::SeqCst) {
            return Err(NotTaken::Gone);
        }
        if open.rows.len() + rows.len() > shared.most {
            return Err(NotTaken::Full);
        }
        let mut ids = Vec::with_capacity(rows.len());
        for (place, mut row) in rows.into_iter().enumerate() {
            let id = open.next;
            open.next += 1;
            ids.push(id);
            row.id = id;
            open.rows.insert(id, OpenRow { events: sender.clone(), place });
            // Where nobody takes it the process has ended, which the reader tells the row.
            drop(shared.asks.send(GenerationAsk::Generate(row)));
        }
        shared.metrics.set_rows(open.rows.len());
        drop(open);
        Ok(Answers { ids, events, shared: shared.clone() })
    }

    /// Returns whether the process has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.shared.gone.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, OpenRows> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dispatch(&self, event: GenerationEvent) {
        let mut open = self.open();
        match event {
            GenerationEvent::Ready { .. } => {}
            GenerationEvent::Tokens { tokens } => {
                self.metrics.add_tokens(tokens.len());
                for (id, token) in tokens {
                    open.tell(id, RowEvent::Token(token));
                }
            }
            GenerationEvent::PromptLogprobs { id, logprobs } => {
                open.tell(id, RowEvent::Prompt(logprobs));
            }
            GenerationEvent::TokenLogprobs { logprobs } => {
                self.metrics.add_tokens(logprobs.len());
                for (id, logprob) in logprobs {
                    open.tell(id, RowEvent::Logprob(logprob));
                }
            }
            GenerationEvent::Ended { id, why } => open.close(id, RowEvent::Ended(why)),
            GenerationEvent::Refused { id, reason, .. } => {
                open.close(id, RowEvent::Refused { reason });
            }
        }
        self.metrics.set_rows(open.rows.len());
    }

    /// Tells every open row that the process has ended.
    fn end(&self) {
        let mut open = self.open();
        self.gone.store(true, Ordering::SeqCst);
        for (_, row) in open.rows.drain() {
            drop(row.events.send((row.place, RowEvent::Gone)));
        }
        self.metrics.set_rows(0);
    }
}

impl OpenRows {
    fn tell(&self, id: u64, event: RowEvent) {
        // A row that is not there was cancelled; its last events are on their way.
        if let Some(row) = self.rows.get(&id) {
            drop(row.events.send((row.place, event)));
        }
    }

    fn close(&mut self, id: u64, event: RowEvent) {
        self.tell(id, event);
        self.rows.remove(&id);
    }
}

/// Writes to the process until it does not read any more.
fn write(out: Box<dyn Write + Send>, asked: &Receiver<GenerationAsk>) {
    let mut out = BufWriter::new(out);
    let mut put = |ask: &GenerationAsk| -> io::Result<()> {
        serde_json::to_writer(&mut out, ask)?;
        out.write_all(b"\n")?;
        out.flush()
    };
    while let Ok(ask) = asked.recv() {
        if put(&ask).is_err() {
            return;
        }
    }
}

/// The rows of one request. Those that have not ended when this is dropped are cancelled.
pub(crate) struct Answers {
    ids: Vec<u64>,
    events: UnboundedReceiver<(usize, RowEvent)>,
    shared: Arc<Shared>,
}

impl Answers {
    /// Waits for the next event, with the number of its row in the request.
    pub(crate) async fn next(&mut self) -> Option<(usize, RowEvent)> {
        self.events.recv().await
    }

    /// Ends a row, of which nothing more is wanted.
    pub(crate) fn cancel(&self, place: usize) {
        let id = self.ids[place];
        let mut open = self.shared.open();
        if open.rows.remove(&id).is_some() {
            drop(self.shared.asks.send(GenerationAsk::Cancel { id }));
            self.shared.metrics.set_rows(open.rows.len());
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        for place in 0..self.ids.len() {
            self.cancel(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use ratdata_schemas::Sampling;

    use super::*;

    fn row(prompt: Vec<TokenId>) -> GenerationRequest {
        let sampling = Sampling::default();
        GenerationRequest { id: 0, prompt, max_new: 4, ends: vec![2], sampling, logprobs: None }
    }

    /// An engine, what it asks, and the way to tell it something.
    fn engine(most: usize) -> (Engine, UnixStream, Sender<String>) {
        let (asks, asked) = UnixStream::pair().unwrap();
        let (events, told) = channel();
        let link = ModelLink { asks: Box::new(asks), events: told };
        (Engine::start(link, most, Arc::default()).unwrap(), asked, events)
    }

    fn next(answers: &mut Answers) -> Option<(usize, RowEvent)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(answers.next())
    }

    #[test]
    fn events_reach_the_request_whose_row_they_name() {
        let (engine, _asked, events) = engine(9);
        let mut first = engine.submit(vec![row(vec![1]), row(vec![2])]).unwrap();
        let mut second = engine.submit(vec![row(vec![3])]).unwrap();

        for line in [
            "{\"event\":\"tokens\",\"tokens\":[[2,30],[1,20],[0,10],[7,70]]}",
            "{\"event\":\"ended\",\"id\":2,\"why\":\"length\"}",
        ] {
            events.send(line.to_owned()).unwrap();
        }

        assert!(matches!(next(&mut first), Some((1, RowEvent::Token(20)))));
        assert!(matches!(next(&mut first), Some((0, RowEvent::Token(10)))));
        assert!(matches!(next(&mut second), Some((0, RowEvent::Token(30)))));
        assert!(matches!(next(&mut second), Some((0, RowEvent::Ended(EndReason::Length)))));
        assert!(next(&mut second).is_none());
    }

    #[test]
    fn rows_that_are_left_are_cancelled_and_make_room() {
        let (engine, mut asked, events) = engine(3);
        let mut answers = engine.submit(vec![row(vec![1]), row(vec![2])]).unwrap();
        assert_eq!(engine.submit(vec![row(vec![3]); 2]).err(), Some(NotTaken::Full));
        events.send("{\"event\":\"ended\",\"id\":0,\"why\":\"eos\"}".to_owned()).unwrap();
        assert!(matches!(next(&mut answers), Some((0, RowEvent::Ended(_)))));

        drop(answers);
        let rest = engine.submit(vec![row(vec![3]); 3]).unwrap();
        drop((rest, engine, events));

        let mut text = String::new();
        asked.read_to_string(&mut text).unwrap();
        let cancelled: Vec<&str> = text.lines().filter(|line| line.contains("cancel")).collect();
        assert_eq!(cancelled[0], "{\"ask\":\"cancel\",\"id\":1}");
        assert_eq!(cancelled.len(), 4, "the row that had ended is not cancelled: {text}");
    }

    #[test]
    fn the_end_of_the_process_reaches_every_row() {
        for garbage in [false, true] {
            let (engine, _asked, events) = engine(9);
            let mut answers = engine.submit(vec![row(vec![1]), row(vec![2])]).unwrap();

            if garbage {
                events.send("no event".to_owned()).unwrap();
            } else {
                drop(events);
            }

            let mut places: Vec<usize> = (0..2)
                .map(|_| match next(&mut answers) {
                    Some((place, RowEvent::Gone)) => place,
                    other => panic!("{other:?}"),
                })
                .collect();
            places.sort_unstable();
            assert_eq!((places, engine.is_gone()), (vec![0, 1], true));
            assert_eq!(engine.submit(vec![row(vec![3])]).err(), Some(NotTaken::Gone));
        }
    }
}
