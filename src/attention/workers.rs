//! Who shares pieces of work that do not depend on each other.

use rayon::prelude::*;

/// Threads that share work.
pub trait Workers {
    /// Does all `pieces` of the work, numbered from 0 and begun about in that order; returns when they are done.
    fn share(&self, pieces: usize, work: &(dyn Fn(usize) + Sync));
}

/// The pool of `rayon` that calls.
pub struct CallingPool;

impl Workers for CallingPool {
    fn share(&self, pieces: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..pieces).into_par_iter().with_max_len(1).for_each(work);
    }
}
