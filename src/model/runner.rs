//! A thread that runs a session, so that those who wait for it can leave.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::DynValue;

use super::operator::CurrentRun;
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};

/// How long a run goes on that was cancelled.
const PATIENCE: Duration = Duration::from_millis(20);

/// Inputs of a graph by name.
pub(super) type Inputs = Vec<(String, SessionInputValue<'static>)>;

/// A session on a thread of its own, which takes one run after the other.
///
/// ONNX Runtime ends a run between two nodes of the graph, and a node of a long window that is none of ours may take seconds.
/// A caller who cancels does not wait for that: it leaves, and the run ends on its thread.
pub(super) struct Runner {
    runs: Option<Sender<Run>>,
    thread: Option<JoinHandle<()>>,
}

struct Run {
    inputs: Inputs,
    outputs: Vec<String>,
    cancel: Cancel,
    options: Arc<Options>,
    answer: SyncSender<ort::Result<Vec<Option<DynValue>>>>,
}

/// What ends a run.
struct Options(RunOptions<HasSelectedOutputs>);

// SAFETY: `ort` lets options with outputs not be shared because these may be allocated beforehand, which ours never are.
// ONNX Runtime lets any thread end a run.
unsafe impl Sync for Options {}

impl Runner {
    pub(super) fn start(session: Session, current: CurrentRun) -> std::io::Result<Self> {
        let (runs, waiting) = channel();
        let thread =
            thread::Builder::new().name("longattn-run".to_owned()).spawn(move || serve(session, &current, &waiting))?;
        Ok(Self { runs: Some(runs), thread: Some(thread) })
    }

    /// Runs the graph for some of its outputs, after the runs that others have asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Runtime`] with `blame` before the cause; [`ErrorKind::Cancelled`].
    pub(super) fn run(&self, inputs: Inputs, names: &[&str], blame: &str, cancel: &Cancel) -> Result<Vec<DynValue>> {
        cancel.check()?;
        let failed = |cause: ort::Error| Error::new(ErrorKind::Runtime, format!("{blame} failed: {cause}"));
        let selected = names.iter().copied().fold(OutputSelector::no_default(), OutputSelector::with);
        let options = Arc::new(Options(RunOptions::new().map_err(failed)?.with_outputs(selected)));
        let outputs = names.iter().copied().map(str::to_owned).collect();
        let (answer, result) = sync_channel(1);
        let run = Run { inputs, outputs, cancel: cancel.clone(), options: options.clone(), answer };
        let runs = self.runs.as_ref().expect("runs are taken until the runner is dropped");
        runs.send(run).map_err(|_| thread_is_gone())?;
        let values = wait(&result, &options, cancel)?;
        if values.is_err() {
            // An operator of ours that is cancelled fails.
            cancel.check()?;
        }
        let values = values.map_err(failed)?;
        let missing = |name: &str| {
            let message = format!("ONNX Runtime did not give the output {name:?}");
            Error::new(ErrorKind::Runtime, message)
        };
        values.into_iter().zip(names).map(|(value, name)| value.ok_or_else(|| missing(name))).collect()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.runs = None;
        // A thread that panicked has told so.
        _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(mut session: Session, current: &CurrentRun, runs: &Receiver<Run>) {
    for Run { inputs, outputs, cancel, options, answer } in runs {
        current.begin(cancel);
        let inputs: Vec<(Cow<str>, _)> = inputs.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let values = session.run_with_options::<_, 0>(inputs, &options.0);
        let values = values.map(|mut values| outputs.iter().map(|name| values.remove(name)).collect());
        // Nobody waits for a run that was cancelled.
        _ = answer.send(values);
    }
}

fn wait<T>(result: &Receiver<T>, options: &Options, cancel: &Cancel) -> Result<T> {
    loop {
        match result.recv_timeout(PATIENCE) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Disconnected) => return Err(thread_is_gone()),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(cancelled) = cancel.check() {
                    // A run that cannot be ended ends by itself.
                    _ = options.0.terminate();
                    return Err(cancelled);
                }
            }
        }
    }
}

fn thread_is_gone() -> Error {
    Error::new(ErrorKind::Internal, "the thread that runs the model has ended: open the package again")
}
