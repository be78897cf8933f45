//! Stopping work from another thread, or at a moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};

/// Asks running work to stop, at once or at a deadline. Clones are one and the same token; once asked, it stays asked.
///
/// ```
/// use longattn::Cancel;
///
/// let cancel = Cancel::default();
/// let handle = cancel.clone();
/// std::thread::spawn(move || handle.cancel()).join().unwrap();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_asked: AtomicBool,
    deadline: Mutex<Option<Instant>>,
}

impl Cancel {
    /// A token that asks its work to stop when a moment has come.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// use longattn::{Cancel, ErrorKind};
    ///
    /// let cancel = Cancel::with_deadline(Instant::now() + Duration::from_millis(10));
    /// std::thread::sleep(Duration::from_millis(20));
    /// assert_eq!(cancel.check().unwrap_err().kind(), ErrorKind::Cancelled);
    /// ```
    pub fn with_deadline(deadline: Instant) -> Self {
        let cancel = Self::default();
        cancel.set_deadline(deadline);
        cancel
    }

    /// Asks the work that watches this token to stop.
    pub fn cancel(&self) {
        self.0.is_asked.store(true, Ordering::Relaxed);
    }

    /// Asks the work that watches this token to stop when a moment has come, in the place of an earlier one.
    pub fn set_deadline(&self, deadline: Instant) {
        *self.0.deadline.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(deadline);
    }

    /// Whether the work was asked to stop, or its deadline has passed.
    pub fn is_cancelled(&self) -> bool {
        self.check().is_err()
    }

    /// # Errors
    /// [`ErrorKind::Cancelled`] where the work was asked to stop, or its deadline has passed.
    pub fn check(&self) -> Result<()> {
        let cancelled = |message| Err(Error::new(ErrorKind::Cancelled, message));
        if self.0.is_asked.load(Ordering::Relaxed) {
            return cancelled("the work was cancelled");
        }
        let deadline = *self.0.deadline.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            true => cancelled("the deadline has passed"),
            false => Ok(()),
        }
    }
}
