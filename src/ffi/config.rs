use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use super::argument::{Output, exclusive, reference, text};
use super::error::{Status, longattn_error};
use super::text::{longattn_text, terminated};
use super::{free, guard, handle};
use crate::config::{Config, SETTINGS};
use crate::error::{Error, ErrorKind};

/// Settings: keys and values, both text. docs/settings.md lists them, and so does longattn_setting_get().
///
/// The caller's, to be freed with longattn_config_free(). A call that takes a config reads it and keeps nothing of it:
/// what is set afterwards has no effect on a scorer that is open. Threads may read a config at once; none may use it
/// while another sets something.
#[derive(Clone)]
pub struct longattn_config(pub Config);

/// One row of the table of settings. All texts are in UTF-8, NUL-terminated, and there for ever.
#[repr(C)]
pub struct longattn_setting {
    /// The key, such as "min_distance".
    pub key: *const c_char,
    /// What a value stands for, in capitals, such as "TOKENS".
    pub placeholder: *const c_char,
    /// Which values are valid, in words.
    pub valid: *const c_char,
    /// The value that a new config has.
    pub default_value: *const c_char,
    /// One line of help.
    pub help: *const c_char,
}

/// Makes a config in which every setting has its default. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn longattn_config_new() -> *mut longattn_config {
    handle(longattn_config(Config::default()))
}

/// Makes a config with the same settings, independent of the first. For NULL, NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_config_clone(config: *const longattn_config) -> *mut longattn_config {
    // SAFETY: the header asks for NULL or a live config.
    unsafe { super::get(config, std::ptr::null_mut(), |config| handle(config.clone())) }
}

/// Sets one setting, such as "window" to "8192".
///
/// LONGATTN_STATUS_INVALID_SETTING for a key or value that is not valid: the message lists what is, and the config is as
/// before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_config_set(
    config: *mut longattn_config,
    key: *const c_char,
    key_length: usize,
    value: *const c_char,
    value_length: usize,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles and for memory that holds what the lengths say.
        let (config, key, value) = unsafe {
            (exclusive(config, "config")?, text(key, key_length, "key")?, text(value, value_length, "value")?)
        };
        config.0.set(key, value)
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Gives the value of one setting, as longattn_config_set() takes it. `value` is the caller's to free.
///
/// LONGATTN_STATUS_INVALID_SETTING for an unknown key: the message lists the known ones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_config_get(
    config: *const longattn_config,
    key: *const c_char,
    key_length: usize,
    value: *mut longattn_text,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory that holds what the lengths say, and a place to write to.
        let (config, key, value) =
            unsafe { (reference(config, "config")?, text(key, key_length, "key")?, Output::one(value, "value")?) };
        value.set([config.0.get(key)?.into()]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Frees a config. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_config_free(config: *mut longattn_config) {
    // SAFETY: the header asks for NULL or a config that nobody uses any more.
    unsafe { free(config) }
}

/// The number of settings that this version of the library knows. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn longattn_setting_count() -> usize {
    SETTINGS.len()
}

/// Gives one row of the table of settings. Any thread may call it.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT where `index` is not below longattn_setting_count().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_setting_get(
    index: usize,
    setting: *mut longattn_setting,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a place to write to.
        let setting = unsafe { Output::one(setting, "setting") }?;
        let Some([key, placeholder, valid, default_value, help]) = rows().get(index) else {
            let message = format!("there is no setting {index}: there are {}", SETTINGS.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        };
        setting.set([longattn_setting {
            key: key.as_ptr(),
            placeholder: placeholder.as_ptr(),
            valid: valid.as_ptr(),
            default_value: default_value.as_ptr(),
            help: help.as_ptr(),
        }]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// The table of settings as C ends its texts.
fn rows() -> &'static [[CString; 5]] {
    static ROWS: OnceLock<Vec<[CString; 5]>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let rows = SETTINGS.iter().map(|setting| {
            let texts = [setting.key, setting.placeholder, &(setting.valid)(), &setting.default(), setting.help];
            texts.map(terminated)
        });
        rows.collect()
    })
}
