//! Writes conversations on threads that are watched, and left alone when they take too much.
//!
//! Fuel bounds most of what a template can do, but not all: lists that share lists, joined by `+`
//! or `~` or compared, can take hours or all memory within one step of the engine, where nothing can
//! stop them. So a template runs on a thread of its own. When that takes too long or too much memory,
//! the job ends with an error, and with the program the thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::chat::Rendered;
use super::chat_template::{ChatTemplate, Watch};
use super::jinja::RenderError;

/// The stack of a thread: fuel allows lists in lists, and to drop each takes a call.
const STACK: usize = 256 << 20;

/// How often a thread is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How many looks one writing of a conversation may take. They are counted rather than timed, so
/// that a program that was stopped and continues has lost nothing.
const MOST_LOOKS: u32 = 500;

/// How much the program may grow while a conversation is written, in addition to what the conversation's
/// own bounds allow.
const MOST_GROWTH: u64 = 1 << 30;

/// How much it may grow for each byte of the conversation.
const GROWTH_PER_BYTE: u64 = 2048;

/// A template with threads to write on, one for each that asks at a time.
#[derive(Debug)]
pub(super) struct ThreadedTemplate {
    template: Arc<ChatTemplate>,
    idle: Mutex<Vec<Writer>>,
}

/// A thread that writes conversations, one after the other.
#[derive(Debug)]
struct Writer {
    talks: Sender<Talk>,
    written: Receiver<Written>,
    watch: Arc<Watch>,
}

/// A conversation to be written.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) messages: Vec<Value>,
    pub(super) tools: Option<Value>,
    /// How many messages at the beginning are only read: nothing of them is trained on.
    pub(super) read_only: usize,
}

/// What became of a conversation.
pub(super) type Written = Result<Rendered, Refusal>;

/// Why a conversation was not written.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) wrong: RenderError,
    /// Whether the plainest conversation is refused with the same words.
    pub(super) any: bool,
}

impl From<RenderError> for Refusal {
    fn from(wrong: RenderError) -> Self {
        Self { wrong, any: false }
    }
}

impl ThreadedTemplate {
    pub(super) fn new(template: ChatTemplate) -> Self {
        Self { template: Arc::new(template), idle: Mutex::default() }
    }

    /// Writes a conversation and finds what of it is trained on.
    ///
    /// # Errors
    ///
    /// As [`ChatTemplate::render`], and where it takes too long or too much memory; no other
    /// conversation should be written then, since that continues until the program ends.
    pub(super) fn render(&self, talk: Talk, interrupted: &AtomicBool) -> Written {
        let values = talk.messages.iter().chain(&talk.tools);
        let bytes: usize = values.map(|value| value.to_string().len()).sum();
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let writer = match idle {
            Some(writer) => writer,
            None => Writer::start(self.template.clone())?,
        };
        let written = writer.write(talk, bytes as u64, interrupted)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(writer);
        written
    }
}

impl Writer {
    fn start(template: Arc<ChatTemplate>) -> Result<Self, RenderError> {
        let (talks, given) = channel::<Talk>();
        let (done, written) = channel();
        let watch = Arc::new(Watch::default());
        let watched = watch.clone();
        let work = move || {
            for Talk { messages, tools, read_only } in given {
                let tools = tools.as_ref();
                let made = template.render_watched(&messages, tools, read_only, &watched);
                let made = made.map_err(|wrong| {
                    let any = matches!(&wrong, RenderError::Conversation(reason) if template.refuses_all(reason));
                    Refusal { wrong, any }
                });
                if done.send(made).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("template".into()).stack_size(STACK);
        thread.spawn(work).map_err(|wrong| {
            RenderError::Template(format!("no thread can be started to run it: {wrong}"))
        })?;
        Ok(Self { talks, written, watch })
    }

    /// Gives the thread a conversation and waits for it.
    ///
    /// # Errors
    ///
    /// It takes too much, it failed, or the user asks to stop.
    fn write(
        &self,
        talk: Talk,
        bytes: u64,
        interrupted: &AtomicBool,
    ) -> Result<Written, RenderError> {
        let failed = || RenderError::Template("it made the engine fail".into());
        self.talks.send(talk).map_err(|_| failed())?;
        // Asked only when a conversation takes long, which few do.
        let mut before = None;
        let (mut begun, mut looks) = (0, 0);
        let over = |what: &str| {
            self.watch.stop.store(true, Ordering::Relaxed);
            RenderError::Template(format!("it takes too much {what} to write a conversation"))
        };
        loop {
            match self.written.recv_timeout(LOOK) {
                Ok(written) => return Ok(written),
                Err(RecvTimeoutError::Disconnected) => return Err(failed()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if interrupted.load(Ordering::Relaxed) {
                self.watch.stop.store(true, Ordering::Relaxed);
                return Err(RenderError::Interrupted);
            }
            let now = self.watch.begun.load(Ordering::Relaxed);
            (begun, looks) = if now == begun { (begun, looks + 1) } else { (now, 0) };
            if looks > MOST_LOOKS {
                return Err(over("time"));
            }
            let most = MOST_GROWTH.saturating_add(bytes.saturating_mul(GROWTH_PER_BYTE));
            let memory = memory();
            if memory.saturating_sub(*before.get_or_insert(memory)) > most {
                return Err(over("memory"));
            }
        }
    }
}

/// Returns the memory that the program has, in bytes; nothing where the system does not say.
fn memory() -> u64 {
    let said = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = said.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use ratdata_schemas::recipe::Date;

    fn watched(source: &str) -> ThreadedTemplate {
        ThreadedTemplate::new(ChatTemplate::compile(source, "", "</s>", Date::default()).unwrap())
    }

    fn talk(turns: usize) -> Talk {
        let turn = ["user", "assistant"].map(|role| json!({"role": role, "content": "x"}));
        Talk { messages: vec![turn; turns].concat(), tools: None, read_only: 0 }
    }

    const PLAIN: &str =
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}";

    #[test]
    fn a_watched_template_writes_what_it_writes_unwatched() {
        let watched = watched(PLAIN);
        let never = AtomicBool::new(false);

        for turns in 1..4 {
            let written = watched.render(talk(turns), &never).unwrap();

            assert_eq!(written, watched.template.render(&talk(turns).messages, None).unwrap());
        }
        assert_eq!(watched.idle.lock().unwrap().len(), 1);
    }

    #[test]
    fn who_asks_to_stop_is_answered_within_one_conversation() {
        let begun = std::time::Instant::now();

        let refused = watched(PLAIN).render(talk(8000), &AtomicBool::new(true)).unwrap_err();

        assert_eq!(refused.wrong, RenderError::Interrupted);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
