//! What ONNX Runtime's C interface offers beyond `ort`'s safe one: its version, the providers that it was built with,
//! plug-in libraries, and where the nodes of a graph run.
//!
//! `ort` has safe calls for plug-in libraries, but built with them it refuses every ONNX Runtime before 1.22. Here newer
//! functions are asked for by the version that has them, and older libraries merely lack them. The code is unsafe because
//! it calls C. All of it relies on what ONNX Runtime promises: a function never leaves its place in the table, devices
//! live as long as the environment, and texts that go in are copied.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::mem;
use std::path::Path;
use std::ptr::{self, NonNull};

use libloading::Library;
use ort::AsPointer;
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::sys::{
    OrtApiBase, OrtEnv, OrtEpAssignedNode, OrtEpAssignedSubgraph, OrtEpDevice, OrtHardwareDevice, OrtSession,
    OrtSessionOptions, OrtStatusPtr, os_char,
};

/// The functions of ONNX Runtime 1.22 that `ort` does not know, in their places.
#[repr(C)]
struct Table22 {
    _0: [usize; 301],
    register_library: unsafe extern "system" fn(*mut OrtEnv, *const c_char, *const os_char) -> OrtStatusPtr,
    _302: usize,
    devices: unsafe extern "system" fn(*const OrtEnv, *mut *const *const OrtEpDevice, *mut usize) -> OrtStatusPtr,
    append_devices: unsafe extern "system" fn(
        *mut OrtSessionOptions,
        *mut OrtEnv,
        *const *const OrtEpDevice,
        usize,
        *const *const c_char,
        *const *const c_char,
        usize,
    ) -> OrtStatusPtr,
    _305: [usize; 2],
    device_type: unsafe extern "system" fn(*const OrtHardwareDevice) -> c_int,
    _308: usize,
    device_vendor: unsafe extern "system" fn(*const OrtHardwareDevice) -> *const c_char,
    _310: [usize; 2],
    device_provider: unsafe extern "system" fn(*const OrtEpDevice) -> *const c_char,
    _313: [usize; 3],
    device_hardware: unsafe extern "system" fn(*const OrtEpDevice) -> *const OrtHardwareDevice,
}

/// Those of 1.24.
#[repr(C)]
struct Table24 {
    _0: [usize; 407],
    subgraphs: unsafe extern "system" fn(
        *const OrtSession,
        *mut *const *const OrtEpAssignedSubgraph,
        *mut usize,
    ) -> OrtStatusPtr,
    subgraph_provider: unsafe extern "system" fn(*const OrtEpAssignedSubgraph, *mut *const c_char) -> OrtStatusPtr,
    subgraph_nodes: unsafe extern "system" fn(
        *const OrtEpAssignedSubgraph,
        *mut *const *const OrtEpAssignedNode,
        *mut usize,
    ) -> OrtStatusPtr,
    _410: [usize; 2],
    node_operator: unsafe extern "system" fn(*const OrtEpAssignedNode, *mut *const c_char) -> OrtStatusPtr,
}

/// The session option that makes ONNX Runtime remember what [`Native::placement`] asks for.
pub(super) const REMEMBER_PLACEMENT: (&str, &str) = ("session.record_ep_graph_assignment_info", "1");

/// How many nodes of each operator run on each provider.
pub type Placement = BTreeMap<String, BTreeMap<String, usize>>;

/// The loaded ONNX Runtime's own interface.
#[derive(Clone, Copy)]
pub(super) struct Native {
    base: &'static OrtApiBase,
}

/// A device that a plug-in library computes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Device(NonNull<OrtEpDevice>);

// SAFETY: ONNX Runtime never changes a device, and keeps it as long as the environment, which is never given back.
unsafe impl Send for Device {}

impl Native {
    /// The interface of a library that `ort` has loaded.
    pub(super) fn of(path: &Path) -> Result<Self, String> {
        // SAFETY: the library is loaded already, so no code of it runs now.
        let library = unsafe { Library::new(path) }.map_err(|cause| cause.to_string())?;
        // SAFETY: this is the function's type since ONNX Runtime 1.0.
        let entry = unsafe { library.get::<unsafe extern "system" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0") };
        let entry = *entry.map_err(|cause| cause.to_string())?;
        mem::forget(library);
        // SAFETY: the library stays loaded, and what it points to is constant.
        let base = unsafe { entry().as_ref() };
        Ok(Self { base: base.ok_or("OrtGetApiBase gives nothing")? })
    }

    /// The version, such as `1.31.1`.
    pub(super) fn version(self) -> String {
        // SAFETY: the text is constant.
        unsafe { text((self.base.GetVersionString)()) }
    }

    /// The providers that ONNX Runtime was built with, under its own names.
    pub(super) fn built_with(self) -> Vec<String> {
        let (mut names, mut count) = (ptr::null_mut::<*mut c_char>(), 0);
        let api = ort::api();
        // SAFETY: both are valid for a write; the names are copied before they are given back.
        unsafe {
            if check((api.GetAvailableProviders)(&mut names, &mut count)).is_err() {
                return Vec::new();
            }
            let found = slice(names, count as usize).iter().map(|name| text(*name)).collect();
            _ = check((api.ReleaseAvailableProviders)(names, count));
            found
        }
    }

    /// Loads a plug-in library and gives the devices that it found on this machine.
    pub(super) fn register(self, environment: &Environment, path: &Path) -> Result<Vec<Device>, String> {
        let Some(table) = self.table::<Table22>(22) else {
            return Err(format!("ONNX Runtime {} takes no plug-in libraries: take 1.22 or newer", self.version()));
        };
        let name = c_string(&path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy())?;
        let before = devices(table, environment)?;
        let path = os_string(path)?;
        // SAFETY: the texts end in NUL; ONNX Runtime locks its environment itself.
        check(unsafe { (table.register_library)(environment.ptr().cast_mut(), name.as_ptr(), path.as_ptr()) })?;
        let after = devices(table, environment)?;
        Ok(after.into_iter().filter(|device| !before.contains(device)).collect())
    }

    /// Makes a session compute on a device of a plug-in library.
    pub(super) fn append_device(
        self,
        environment: &Environment,
        builder: &mut SessionBuilder,
        device: Device,
        options: &[(String, String)],
    ) -> Result<(), String> {
        let table = self.table::<Table22>(22).ok_or("plug-in libraries need ONNX Runtime 1.22 or newer")?;
        let (keys, values) = Texts::pairs(options)?;
        let device = device.0.as_ptr().cast_const();
        // SAFETY: a device is valid as long as the environment, and the counts are those of the arrays.
        check(unsafe {
            (table.append_devices)(
                builder.ptr_mut(),
                environment.ptr().cast_mut(),
                &device,
                1,
                keys.as_ptr(),
                values.as_ptr(),
                options.len(),
            )
        })
    }

    /// The provider that a device belongs to, under its own name.
    pub(super) fn provider_of(self, device: Device) -> String {
        let name = |table: &Table22| {
            // SAFETY: a device is valid as long as the environment.
            unsafe { text((table.device_provider)(device.0.as_ptr())) }
        };
        self.table(22).map(name).unwrap_or_default()
    }

    /// What a device is, for people to read: `CPU of AMD`.
    pub(super) fn describe(self, device: Device) -> String {
        let Some(table) = self.table::<Table22>(22) else { return String::new() };
        // SAFETY: a device and its hardware are valid as long as the environment.
        let (kind, vendor) = unsafe {
            let hardware = (table.device_hardware)(device.0.as_ptr());
            ((table.device_type)(hardware), text((table.device_vendor)(hardware)))
        };
        let kind = ["CPU", "GPU", "NPU"].get(kind as usize).unwrap_or(&"device");
        if vendor.is_empty() { (*kind).to_owned() } else { format!("{kind} of {vendor}") }
    }

    /// Where the nodes of a session run, if it was made with [`REMEMBER_PLACEMENT`] by ONNX Runtime 1.24 or newer.
    pub(super) fn placement(self, session: &Session) -> Option<Placement> {
        let table = self.table::<Table24>(24)?;
        let mut placement = Placement::new();
        // SAFETY: everything here belongs to the session, which outlives this call, and is copied.
        unsafe {
            let subgraphs = list(|items, count| (table.subgraphs)(session.ptr(), items, count)).ok()?;
            for subgraph in subgraphs {
                let provider = named(|name| (table.subgraph_provider)(*subgraph, name)).ok()?;
                let operators = placement.entry(provider).or_default();
                for node in list(|items, count| (table.subgraph_nodes)(*subgraph, items, count)).ok()? {
                    *operators.entry(named(|name| (table.node_operator)(*node, name)).ok()?).or_default() += 1;
                }
            }
        }
        Some(placement)
    }

    /// The table of functions of ONNX Runtime 1.`minor`; `None` where the loaded one is older.
    ///
    /// `T` must be that table's beginning.
    fn table<T>(self, minor: u32) -> Option<&'static T> {
        // An older library would write a complaint to standard error.
        let loaded = self.version().split('.').nth(1)?.parse::<u32>().ok()?;
        if loaded < minor {
            return None;
        }
        // SAFETY: a table is constant, and as long as its version asks.
        unsafe { (self.base.GetApi)(minor).cast::<T>().as_ref() }
    }
}

/// Makes a session compute with a provider that ONNX Runtime was built with, by its name.
pub(super) fn append(builder: &mut SessionBuilder, name: &str, options: &[(String, String)]) -> Result<(), String> {
    let name = c_string(name)?;
    let (keys, values) = Texts::pairs(options)?;
    let append = ort::api().SessionOptionsAppendExecutionProvider;
    // SAFETY: the texts end in NUL, and the count is that of both arrays.
    check(unsafe { append(builder.ptr_mut(), name.as_ptr(), keys.as_ptr(), values.as_ptr(), options.len()) })
}

fn devices(table: &Table22, environment: &Environment) -> Result<Vec<Device>, String> {
    // SAFETY: the caller holds the lock under which alone libraries are loaded, so that the list stays while it is copied.
    let found = unsafe { list(|items, count| (table.devices)(environment.ptr(), items, count)) }?;
    Ok(found.iter().filter_map(|device| NonNull::new(device.cast_mut()).map(Device)).collect())
}

/// C strings in an array, as ONNX Runtime takes them.
struct Texts {
    _texts: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Texts {
    fn pairs(pairs: &[(String, String)]) -> Result<(Self, Self), String> {
        Ok((Self::new(pairs.iter().map(|pair| &pair.0))?, Self::new(pairs.iter().map(|pair| &pair.1))?))
    }

    fn new<'a>(texts: impl Iterator<Item = &'a String>) -> Result<Self, String> {
        let texts = texts.map(|text| c_string(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { pointers: texts.iter().map(|text| text.as_ptr()).collect(), _texts: texts })
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} holds a NUL"))
}

#[cfg(not(windows))]
fn os_string(path: &Path) -> Result<Vec<os_char>, String> {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| "the path holds a NUL".to_owned())?;
    Ok(path.as_bytes_with_nul().iter().map(|byte| *byte as os_char).collect())
}

#[cfg(windows)]
fn os_string(path: &Path) -> Result<Vec<os_char>, String> {
    use std::os::windows::ffi::OsStrExt;
    Ok(path.as_os_str().encode_wide().chain([0]).collect())
}

fn check(status: OrtStatusPtr) -> Result<(), String> {
    // SAFETY: every status here comes straight from ONNX Runtime.
    unsafe { ort::Error::result_from_status(status) }.map_err(|cause| cause.to_string())
}

/// A list that ONNX Runtime lends.
///
/// # Safety
/// `call` sets a pointer and the number of what it points to, or fails; the list stays as it is for `'a`.
unsafe fn list<'a, T>(call: impl FnOnce(*mut *const T, *mut usize) -> OrtStatusPtr) -> Result<&'a [T], String> {
    let (mut items, mut count) = (ptr::null(), 0);
    check(call(&mut items, &mut count))?;
    // SAFETY: the caller's promise.
    Ok(unsafe { slice(items, count) })
}

/// A text that ONNX Runtime lends.
///
/// # Safety
/// `call` sets a pointer to a C string, or fails.
unsafe fn named(call: impl FnOnce(*mut *const c_char) -> OrtStatusPtr) -> Result<String, String> {
    let mut name = ptr::null();
    check(call(&mut name))?;
    // SAFETY: the caller's promise.
    Ok(unsafe { text(name) })
}

/// # Safety
/// `items` is NULL or points to `count` values that stay for `'a`.
unsafe fn slice<'a, T>(items: *const T, count: usize) -> &'a [T] {
    match items.is_null() {
        true => &[],
        // SAFETY: the caller's promise.
        false => unsafe { std::slice::from_raw_parts(items, count) },
    }
}

/// # Safety
/// `text` is NULL or a C string.
unsafe fn text(text: *const c_char) -> String {
    match text.is_null() {
        true => String::new(),
        // SAFETY: the caller's promise.
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    }
}
