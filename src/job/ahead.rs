//! Work in stages, each on a thread of its own.

use std::sync::mpsc::{self, IntoIter};
use std::thread;

/// Makes the next item on another thread while `work` is busy with the one before.
pub(super) fn ahead<T: Send, R>(items: impl Iterator<Item = T> + Send, work: impl FnOnce(IntoIter<T>) -> R) -> R {
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(0);
        scope.spawn(move || {
            for item in items {
                if sender.send(item).is_err() {
                    break;
                }
            }
        });
        work(receiver.into_iter())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn items_come_in_their_order_and_no_more_than_one_ahead() {
        let made = AtomicUsize::new(0);
        let items = (0..100).inspect(|_| _ = made.fetch_add(1, Ordering::SeqCst));
        let taken: Vec<_> =
            ahead(items, |items| items.inspect(|item| assert!(made.load(Ordering::SeqCst) <= item + 2)).collect());
        assert_eq!(taken, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn whoever_stops_early_ends_all_stages() {
        let first = ahead(0.., |items| ahead(items.map(|item| item * 2), |mut items| items.nth(3)));
        assert_eq!(first, Some(6));
    }
}
