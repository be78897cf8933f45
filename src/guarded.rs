//! Panics of other libraries as reasons.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread is told by an error.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What a call of a library gives, or what it says as it panics. Nothing is printed then. Whatever it could have left half done
/// must not be used any more.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(silence_guarded_threads);
    let outer = IS_GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IS_GUARDED.set(outer);
    result.map_err(|panic| message_of(panic.as_ref()).to_owned())
}

/// Puts a hook before the process's own that keeps it from guarded threads.
fn silence_guarded_threads() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !IS_GUARDED.get() {
            usual(info);
        }
    }));
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say why")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_says_is_the_reason() {
        assert_eq!(guarded(|| 7), Ok(7));
        assert_eq!(guarded::<()>(|| panic!("plain")), Err("plain".to_owned()));
        assert_eq!(guarded::<()>(|| panic!("made {}", 1)), Err("made 1".to_owned()));
        let inner = guarded(|| (guarded::<()>(|| panic!("inner")), guarded(|| 1)));
        assert_eq!(inner, Ok((Err("inner".to_owned()), Ok(1))));
    }
}
