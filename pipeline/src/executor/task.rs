//! One step with everything that its run needs: the same on this machine and in a cluster's job.
//!
//! A step's result is made in a staging folder by a process of its own, under the lock of the
//! result, and becomes the result by a rename. So a task may be killed at any moment and done
//! again, here or elsewhere, and two runs that want the same result make it once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratdata_schemas::{ArtifactError, PROGRESS_FILE, remove_folder_if_exists};
use ratdata_tokenize::Share;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use super::error::TaskError;
use super::gather::gather;
use super::running_step::progress_file_of;
use crate::dag::arguments::{BadValue, arguments};
use crate::dag::file::Pipeline;
use crate::dag::fingerprint::StepRecipe;
use crate::dag::outside::Content;
use crate::dag::plan::{Plan, Planned};
use crate::dag::step::reference;
use crate::dag::step_kind::{StepKind, key};
use crate::store::{Store, share_lock};

/// How long a step may take to end after it was asked to.
const GRACE: Duration = Duration::from_mins(1);

/// One step, ready to be run.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) name: String,
    /// What tells its pipeline from all others.
    pipeline: PathBuf,
    pub(crate) kind: StepKind,
    pub(crate) object: String,
    recipe: StepRecipe,
    /// What it takes from outside the pipeline, as it was when the result got its name.
    contents: Vec<Arc<Content>>,
    /// The words after the program's name, or all words of a program of the user's own.
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    /// Files that the result must have.
    outputs: Vec<String>,
    pub(crate) publish: Option<PathBuf>,
    /// The folder to work in.
    base: PathBuf,
    store: PathBuf,
}

/// How a task ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It was made.
    Made,
    /// Another run had made it in the meantime.
    Found,
}

impl Task {
    /// Makes a step of a plan ready to be run.
    ///
    /// # Errors
    ///
    /// The key whose value cannot be passed on, and why.
    pub(crate) fn of(
        pipeline: &Pipeline,
        store: &Store,
        plan: &Plan,
        planned: &Planned,
    ) -> Result<Self, BadValue> {
        let step = &pipeline[planned.step];
        let resolved = |text: &str| match reference(text) {
            Some((before, "out", after)) if step.kind == StepKind::Command => {
                format!("{before}{}{after}", store.staging(&planned.object).display())
            }
            Some((before, name, after)) => {
                let input = planned.takes.iter().find(|&&take| plan[take].name == name);
                let object = input.map_or("", |&input| plan[input].object.as_str());
                format!("{before}{}{after}", store.object(object).display())
            }
            None => text.to_owned(),
        };
        let mut config = step.config.clone();
        config.extend(step.knobs.clone().into_iter().filter(|(key, _)| key != key::NUM_PROC));
        let env = config
            .get(key::ENV)
            .filter(|_| step.kind == StepKind::Command)
            .and_then(Value::as_object);
        let env = env.into_iter().flatten().map(|(key, value)| {
            (key.clone(), resolved(&value.as_str().map_or(value.to_string(), Into::into)))
        });
        Ok(Self {
            name: step.name.clone(),
            pipeline: pipeline.identity.clone(),
            kind: step.kind,
            object: planned.object.clone(),
            recipe: planned.recipe.clone(),
            contents: planned.contents.clone(),
            arguments: arguments(step.kind, &config, &resolved)?,
            env: env.collect(),
            outputs: step.outputs().map(Into::into).collect(),
            publish: step.publish.as_ref().map(|path| pipeline.base.join(path)),
            base: pipeline.base.clone(),
            store: store.root().to_owned(),
        })
    }

    /// Returns the store of the result.
    pub(crate) fn store(&self) -> Store {
        Store::at(&self.store)
    }

    /// Makes the result, unless it is there, and names it.
    ///
    /// # Errors
    ///
    /// See [`TaskError`]; what was staged is kept for the next attempt.
    pub(crate) fn run(
        &self,
        threads: usize,
        log: &Path,
        stop: &AtomicBool,
        waiting: &mut dyn FnMut(),
    ) -> Result<Done, TaskError> {
        let store = self.store();
        let Some(lock) =
            store.lock(&self.object, stop, waiting).map_err(TaskError::io(store.root()))?
        else {
            return Err(TaskError::Interrupted);
        };
        let found = store.object(&self.object).is_dir();
        if !found {
            let staging = store.staging(&self.object);
            let shares = store.shares(&self.object);
            // What was gathered of shares is nowhere else.
            if !self.kind.resumes() && !shares.exists() {
                remove_folder_if_exists(&staging)?;
            }
            fs::create_dir_all(&staging).map_err(TaskError::io(&staging))?;
            if shares.exists() {
                gather(&store, &self.object, &staging)?;
            }
            let mut words = self.given(&staging, threads);
            if self.kind == StepKind::Train {
                words.push("--resume".into());
            }
            let lock = lock.try_clone().map_err(TaskError::io(&staging))?;
            let ended = self.process(&words, &staging, threads, log, lock, stop);
            if let (Err(TaskError::Failed { .. }), false) = (&ended, self.kind.resumes()) {
                // It begins anew, and so do its shares.
                remove_folder_if_exists(&shares)?;
            }
            ended?;
            if let Err(changed) = self.check_inputs(stop) {
                // What was made of the new input is nothing that the old one's name may lead to. A
                // model that was trained for days is left to its owner.
                if self.kind != StepKind::Train && matches!(changed, TaskError::Changed { .. }) {
                    remove_folder_if_exists(&staging)?;
                }
                return Err(changed);
            }
            for output in &self.outputs {
                let path = staging.join(output);
                if !path.exists() {
                    return Err(TaskError::NoOutput { path });
                }
            }
            store.commit(&self.object)?;
        }
        self.remember(&store)?;
        drop(lock);
        Ok(if found { Done::Found } else { Done::Made })
    }

    /// Records that the result is what the step stands for, and puts a link to it where one is
    /// wanted.
    ///
    /// # Errors
    ///
    /// The store or the link cannot be written.
    pub(crate) fn remember(&self, store: &Store) -> Result<(), ArtifactError> {
        let publish = self.publish.as_deref();
        let made = self.recipe.made_of(&self.contents);
        store.remember(&self.pipeline, &self.name, &self.object, &made, publish)
    }

    /// Makes one share of the result, unless it or the result is there.
    ///
    /// # Errors
    ///
    /// See [`TaskError`]; what was done of the share is kept for the next attempt.
    pub(crate) fn run_share(
        &self,
        share: Share,
        threads: usize,
        log: &Path,
        stop: &AtomicBool,
    ) -> Result<Done, TaskError> {
        let store = self.store();
        let lock_name = share_lock(&self.object, &share.name());
        let lock = store.lock(&lock_name, stop, &mut || {}).map_err(TaskError::io(store.root()))?;
        let Some(lock) = lock else { return Err(TaskError::Interrupted) };
        if store.object(&self.object).is_dir() || store.is_shared(&self.object, share) {
            return Ok(Done::Found);
        }
        let folder = store.share(&self.object, share);
        fs::create_dir_all(&folder).map_err(TaskError::io(&folder))?;
        let mut words = self.given(&folder, threads);
        words.push(format!("--shard={share}"));
        let held = lock.try_clone().map_err(TaskError::io(&folder))?;
        let ended = self.process(&words, &folder, threads, log, held, stop);
        if store.object(&self.object).is_dir() {
            // Another run made the result without this share, and took its folder away.
            return Ok(Done::Found);
        }
        ended?;
        self.check_inputs(stop)?;
        store.mark_shared(&self.object, share)?;
        drop(lock);
        Ok(Done::Made)
    }

    /// Checks that the inputs are those that the result is named by.
    fn check_inputs(&self, stop: &AtomicBool) -> Result<(), TaskError> {
        for content in &self.contents {
            match content.changed(stop) {
                Ok(None) => {}
                Ok(Some(path)) => return Err(TaskError::Changed { path }),
                Err(_) if stop.load(Ordering::Relaxed) => return Err(TaskError::Interrupted),
                Err(source) if source.kind() == io::ErrorKind::NotFound => {
                    return Err(TaskError::Changed { path: content.path().to_owned() });
                }
                Err(source) => {
                    return Err(TaskError::Io { path: content.path().to_owned(), source });
                }
            }
        }
        Ok(())
    }

    /// Returns the arguments that no step may give.
    fn given(&self, out: &Path, threads: usize) -> Vec<String> {
        if self.kind == StepKind::Command {
            return Vec::new();
        }
        let threads = self.kind.has_threads().then(|| format!("--num-proc={threads}"));
        std::iter::once(format!("--out={}", out.display())).chain(threads).collect()
    }

    /// Runs the step's program to its end, in a process group of its own.
    fn process(
        &self,
        given: &[String],
        staging: &Path,
        threads: usize,
        log: &Path,
        lock: File,
        stop: &AtomicBool,
    ) -> Result<(), TaskError> {
        let (program, arguments) = if self.kind == StepKind::Command {
            let (program, arguments) = self
                .arguments
                .split_first()
                .map_or(("", [].as_slice()), |(program, rest)| (program.as_str(), rest));
            (PathBuf::from(program), arguments)
        } else {
            let own = std::env::current_exe().map_err(TaskError::io(staging))?;
            (own, self.arguments.as_slice())
        };
        let shown = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The command's name comes first, its options next, and words without an option last.
        let (name, rest) = arguments.split_at(usize::from(self.kind != StepKind::Command));
        let mut command = Command::new(&program);
        command.args(name).args(given).args(rest);
        command.envs(&self.env).env("RATDATA_OUT", staging);
        command.env("RAYON_NUM_THREADS", threads.to_string());
        let progress = progress_file_of(log);
        command.env(PROGRESS_FILE, &progress);
        command.current_dir(&self.base).stdin(lock).process_group(0);
        let mut file =
            File::options().create(true).append(true).open(log).map_err(TaskError::io(log))?;
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        io::Write::write_all(&mut file, format!("$ {shown} {}\n", words.join(" ")).as_bytes())
            .map_err(TaskError::io(log))?;
        command.stderr(file.try_clone().map_err(TaskError::io(log))?).stdout(file);
        let child = command.spawn();
        drop(command); // and with it our copies of the lock and the log
        let child = child.map_err(|source| TaskError::Start { program: shown.clone(), source })?;
        let ended = wait(child, stop);
        drop(fs::remove_file(progress)); // a step that has ended reports no progress
        match ended.map_err(TaskError::io(staging))? {
            status if status.success() => Ok(()),
            _ if stop.load(Ordering::Relaxed) => Err(TaskError::Interrupted),
            status => Err(TaskError::Failed { program: shown, status }),
        }
    }
}

/// Waits for a process, and passes the user's wish to stop on to all of its group.
fn wait(mut child: Child, stop: &AtomicBool) -> io::Result<ExitStatus> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let mut pause = Duration::from_millis(1);
    let mut asked: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let signal = match asked {
            None if stop.load(Ordering::Relaxed) => {
                asked = Some(Instant::now());
                Some(Signal::INT)
            }
            Some(when) if when.elapsed() > GRACE => Some(Signal::KILL),
            _ => None,
        };
        if let (Some(signal), Some(group)) = (signal, group) {
            // It fails where the group has ended in the meantime, which the next `try_wait` finds.
            kill_process_group(group, signal).unwrap_or_default();
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
