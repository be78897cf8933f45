//! Which process something belongs to. The threads of a process are not in the children that `fork()` makes of it.

use std::sync::Mutex;
use std::{mem, process};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, ErrorKind, Result};

/// Something with threads. A child of the process that made it can neither use it nor wait for its threads to end, so there
/// it is left as it is when it is dropped.
pub(crate) struct OfProcess<T> {
    value: Option<T>,
    process: u32,
}

impl<T> OfProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Some(value), process: process::id() }
    }

    /// # Errors
    /// [`ErrorKind::Runtime`] in a child.
    pub(crate) fn get(&self) -> Result<&T> {
        match &self.value {
            Some(value) if self.is_ours() => Ok(value),
            _ => Err(Error::new(
                ErrorKind::Runtime,
                "this process was made by fork() from the one that opened the package, whose threads it does not have: open \
                 the package again in this process",
            )),
        }
    }

    /// # Errors
    /// [`ErrorKind::Runtime`] in a child.
    pub(crate) fn get_mut(&mut self) -> Result<&mut T> {
        self.get()?;
        Ok(self.value.as_mut().expect("it was there"))
    }

    fn is_ours(&self) -> bool {
        self.process == process::id()
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if !self.is_ours() {
            mem::forget(self.value.take());
        }
    }
}

/// Does parallel work on the pool of threads that calls, else on one that all such calls of this process share.
///
/// # Errors
/// [`ErrorKind::Internal`] where no threads can be started.
pub(crate) fn in_parallel<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    match rayon::current_thread_index() {
        Some(_) => Ok(work()),
        None => Ok(shared_pool()?.install(work)),
    }
}

/// The pool of this process. Unlike the global one of `rayon`, a child gets its own.
fn shared_pool() -> Result<&'static ThreadPool> {
    static POOL: Mutex<Option<(u32, &ThreadPool)>> = Mutex::new(None);
    let mut pool = POOL.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    match *pool {
        Some((process, pool)) if process == process::id() => Ok(pool),
        _ => {
            let new = ThreadPoolBuilder::new().thread_name(|index| format!("longattn-{index}")).build();
            let new =
                new.map_err(|cause| Error::new(ErrorKind::Internal, format!("threads cannot be started: {cause}")))?;
            Ok(pool.insert((process::id(), Box::leak(Box::new(new)))).1)
        }
    }
}
