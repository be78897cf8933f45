use std::ffi::{c_char, c_void};
use std::sync::{Mutex, RwLock};

use log::{LevelFilter, Log, Metadata, Record};

use super::error::{Status, longattn_error};
use super::guard;
use crate::error::{Error, ErrorKind, Result};

/// Log nothing.
pub const LONGATTN_LOG_OFF: i32 = 0;
/// Something failed.
pub const LONGATTN_LOG_ERROR: i32 = 1;
/// Something is not as it should be, such as windows longer than the model was trained for.
pub const LONGATTN_LOG_WARN: i32 = 2;
/// What the library does.
pub const LONGATTN_LOG_INFO: i32 = 3;
/// For those who look for a fault.
pub const LONGATTN_LOG_DEBUG: i32 = 4;
/// Everything.
pub const LONGATTN_LOG_TRACE: i32 = 5;

/// Is given each log message: its level, LONGATTN_LOG_ERROR to LONGATTN_LOG_TRACE, and `length` bytes of UTF-8, not
/// NUL-terminated, which live only for the call. It is called on whatever thread has something to say, from several at
/// once; it must not call the library, and must return: no C++ exception and no longjmp may leave it.
pub type longattn_log_callback =
    Option<unsafe extern "C" fn(level: i32, message: *const c_char, length: usize, user_data: *mut c_void)>;

/// Sends the log messages of this process, up to `max_level`, to a callback. Without one nothing is logged. The callback
/// replaces the one before; NULL ends logging. When this returns, the callback before is running nowhere and is never
/// called again, so what its `user_data` pointed to may be freed. Any thread may call it.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT for a level that is not one of LONGATTN_LOG_OFF to LONGATTN_LOG_TRACE;
/// LONGATTN_STATUS_UNSUPPORTED where the library is linked into a Rust program that has a logger of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_log_set(
    callback: longattn_log_callback,
    user_data: *mut c_void,
    max_level: i32,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        let level = level_filter(max_level)?;
        install()?;
        let sink = callback.map(|callback| Sink { callback, user_data: user_data as usize });
        let level = if sink.is_some() { level } else { LevelFilter::Off };
        *SINK.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = sink;
        log::set_max_level(level);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);

struct Sink {
    callback: unsafe extern "C" fn(i32, *const c_char, usize, *mut c_void),
    /// A pointer that is only passed on, to any thread, as the header says.
    user_data: usize,
}

struct Callback;

impl Log for Callback {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        let sink = SINK.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(Sink { callback, user_data }) = *sink else { return };
        let message = record.args().to_string();
        // SAFETY: the header asks for a function that may be called so, from any thread, until it is replaced; replacing
        // waits for the lock that is held here.
        unsafe {
            callback(level_number(record.level()), message.as_ptr().cast(), message.len(), user_data as *mut c_void);
        }
    }

    fn flush(&self) {}
}

fn level_filter(level: i32) -> Result<LevelFilter> {
    let filter = match level {
        LONGATTN_LOG_OFF => LevelFilter::Off,
        LONGATTN_LOG_ERROR => LevelFilter::Error,
        LONGATTN_LOG_WARN => LevelFilter::Warn,
        LONGATTN_LOG_INFO => LevelFilter::Info,
        LONGATTN_LOG_DEBUG => LevelFilter::Debug,
        LONGATTN_LOG_TRACE => LevelFilter::Trace,
        _ => {
            let message =
                format!("there is no log level {level}: they run from {LONGATTN_LOG_OFF} to {LONGATTN_LOG_TRACE}");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
    };
    Ok(filter)
}

fn level_number(level: log::Level) -> i32 {
    match level {
        log::Level::Error => LONGATTN_LOG_ERROR,
        log::Level::Warn => LONGATTN_LOG_WARN,
        log::Level::Info => LONGATTN_LOG_INFO,
        log::Level::Debug => LONGATTN_LOG_DEBUG,
        log::Level::Trace => LONGATTN_LOG_TRACE,
    }
}

/// Makes [`Callback`] the logger of the process, once.
fn install() -> Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !*installed {
        let foreign = |_| Error::new(ErrorKind::Unsupported, "this process has a logger of its own: use that one");
        log::set_logger(&Callback).map_err(foreign)?;
        *installed = true;
    }
    Ok(())
}
