//! NVIDIA's driver, loaded when it is first asked for.
//!
//! The code is unsafe because it calls C. It relies on what the driver's interface promises: functions never leave their
//! places, kernels that were loaded stay, and work on one stream is done in the order of the calls.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::Library;

use super::kernels::Kernel;
use crate::error::{Error, ErrorKind, Result};

/// The name that drivers give themselves.
const LIBRARY: &str = "libcuda.so.1";

/// CUDA 12.0, the first whose driver keeps kernels apart from contexts.
const OLDEST_CUDA: c_int = 12000;

const OUT_OF_MEMORY: c_int = 2;
const NO_DEVICE: c_int = 100;
/// No code for this GPU, PTX that is not understood, PTX of a newer version.
const NOT_LOADABLE: [c_int; 3] = [209, 218, 222];

const CAPABILITY_MAJOR: c_int = 75;
const CAPABILITY_MINOR: c_int = 76;
const MAX_DYNAMIC_SHARED_MEMORY: c_int = 8;
const DEVICE_MEMORY: c_uint = 2;

/// `CUDA_MEMCPY2D`: lengths in bytes.
#[repr(C)]
struct Copy2d {
    source_x: usize,
    source_y: usize,
    source_type: c_uint,
    source_host: *const c_void,
    source: u64,
    source_array: *const c_void,
    source_pitch: usize,
    target_x: usize,
    target_y: usize,
    target_type: c_uint,
    target_host: *mut c_void,
    target: u64,
    target_array: *mut c_void,
    target_pitch: usize,
    width: usize,
    height: usize,
}

/// Declares the driver's functions and how they are found.
macro_rules! functions {
    ($($name:ident = $symbol:literal: fn($($argument:ty),*);)*) => {
        struct Functions { $($name: unsafe extern "C" fn($($argument),*) -> c_int,)* }

        impl Functions {
            /// # Safety
            /// The library is NVIDIA's driver, or has the same functions, and is never unloaded.
            unsafe fn of(library: &Library) -> Result<Self, libloading::Error> {
                // SAFETY: the caller's promise.
                unsafe { Ok(Self { $($name: *library.get($symbol)?,)* }) }
            }
        }
    };
}

functions! {
    init = b"cuInit\0": fn(c_uint);
    error_text = b"cuGetErrorString\0": fn(c_int, *mut *const c_char);
    current_device = b"cuCtxGetDevice\0": fn(*mut c_int);
    device_attribute = b"cuDeviceGetAttribute\0": fn(*mut c_int, c_int, c_int);
    load = b"cuLibraryLoadData\0": fn(*mut *mut c_void, *const c_void, *mut c_int, *mut *mut c_void, c_uint, *mut c_int, *mut *mut c_void, c_uint);
    kernel = b"cuLibraryGetKernel\0": fn(*mut *mut c_void, *mut c_void, *const c_char);
    set_kernel_attribute = b"cuKernelSetAttribute\0": fn(c_int, c_int, *mut c_void, c_int);
    allocate = b"cuMemAllocAsync\0": fn(*mut u64, usize, *mut c_void);
    free = b"cuMemFreeAsync\0": fn(u64, *mut c_void);
    fill = b"cuMemsetD8Async\0": fn(u64, u8, usize, *mut c_void);
    copy = b"cuMemcpy2DAsync_v2\0": fn(*const Copy2d, *mut c_void);
    launch = b"cuLaunchKernel\0": fn(*mut c_void, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, *mut c_void, *mut *mut c_void, *mut *mut c_void);
}

/// The loaded driver.
pub(crate) struct Driver {
    functions: Functions,
    /// The CUDA that it is for, as drivers count: 12090 is 12.9.
    cuda: c_int,
    loaded: Mutex<HashMap<(*const Kernel, c_int), Function>>,
}

// SAFETY: the driver takes calls from any thread, and the kernels' addresses are those of constants.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

/// Work in a row on a GPU: a `cudaStream_t`, of the GPU that is the calling thread's.
#[derive(Clone, Copy)]
pub(crate) struct Stream(pub(crate) *mut c_void);

/// The GPU of the calling thread.
#[derive(Clone, Copy)]
pub(super) struct Device {
    ordinal: c_int,
    /// Ten times the compute capability.
    pub(super) capability: u32,
}

/// A kernel on a GPU.
#[derive(Clone, Copy)]
pub(super) struct Function(*mut c_void);

/// An argument of a kernel.
#[derive(Clone, Copy)]
pub(super) enum Argument {
    Address(u64),
    Integer(i32),
    Float(f32),
}

impl Argument {
    fn place(&self) -> *mut c_void {
        match self {
            Self::Address(value) => ptr::from_ref(value).cast_mut().cast(),
            Self::Integer(value) => ptr::from_ref(value).cast_mut().cast(),
            Self::Float(value) => ptr::from_ref(value).cast_mut().cast(),
        }
    }
}

impl Driver {
    /// The driver of this machine.
    ///
    /// # Errors
    /// [`ErrorKind::Runtime`] where there is none, or it is too old, or finds no GPU.
    pub(crate) fn of_machine() -> Result<&'static Self> {
        static DRIVER: OnceLock<Result<Driver>> = OnceLock::new();
        // SAFETY: the name is that of NVIDIA's driver.
        DRIVER.get_or_init(|| unsafe { Self::load(LIBRARY.as_ref()) }).as_ref().map_err(Clone::clone)
    }

    /// # Safety
    /// The library is NVIDIA's driver, or does what that does.
    unsafe fn load(library: &OsStr) -> Result<Self> {
        // SAFETY: the caller's promise.
        let found = unsafe { Library::new(library) };
        let library = found.map_err(|cause| {
            let name = library.display();
            runtime(format!("NVIDIA's driver cannot be loaded: {cause}; install it, so that the loader finds {name}"))
        })?;
        // Never unloaded: it has threads of its own.
        let library: &'static Library = Box::leak(Box::new(library));
        let cuda = cuda_version(library)?;
        if cuda < OLDEST_CUDA {
            return Err(too_old(cuda, OLDEST_CUDA));
        }
        // SAFETY: the caller's promise; the library is never unloaded.
        let functions = unsafe { Functions::of(library) }
            .map_err(|cause| runtime(format!("NVIDIA's driver lacks a function: {cause}; install a newer one")))?;
        let driver = Self { functions, cuda, loaded: Mutex::default() };
        // SAFETY: it may be called any number of times.
        driver.check("start NVIDIA's driver", unsafe { (driver.functions.init)(0) })?;
        Ok(driver)
    }

    /// The GPU of the calling thread.
    pub(super) fn device(&self) -> Result<Device> {
        let mut ordinal = 0;
        // SAFETY: the place is ours.
        self.check("tell this thread's GPU", unsafe { (self.functions.current_device)(&raw mut ordinal) })?;
        let attribute = |attribute| {
            let mut value = 0;
            // SAFETY: the place is ours, and the device is the driver's.
            let code = unsafe { (self.functions.device_attribute)(&raw mut value, attribute, ordinal) };
            self.check("tell the GPU's compute capability", code)?;
            Ok(value.unsigned_abs())
        };
        let capability = 10 * attribute(CAPABILITY_MAJOR)? + attribute(CAPABILITY_MINOR)?;
        Ok(Device { ordinal, capability })
    }

    /// A kernel on a GPU, loaded at the first call.
    pub(super) fn function(&self, kernel: &'static Kernel, device: Device) -> Result<Function> {
        if self.cuda < kernel.needed_cuda() {
            return Err(too_old(self.cuda, kernel.needed_cuda()));
        }
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (ptr::from_ref(kernel), device.ordinal);
        if let Some(function) = loaded.get(&key) {
            return Ok(*function);
        }
        let function = self.load_kernel(kernel, device)?;
        loaded.insert(key, function);
        Ok(function)
    }

    fn load_kernel(&self, kernel: &Kernel, device: Device) -> Result<Function> {
        let doing = "load the kernel of FarMass";
        let (mut library, mut function) = (ptr::null_mut(), ptr::null_mut());
        let (none, nones) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: machine code tells its length, PTX ends with a zero, and there are no options.
        let code = unsafe {
            (self.functions.load)(&raw mut library, kernel.code().as_ptr().cast(), none, nones, 0, none, nones, 0)
        };
        self.check(doing, code)?;
        let name = CString::new(kernel.function.as_str()).expect("functions have names of letters");
        // SAFETY: the library was loaded, and the name is copied.
        self.check(doing, unsafe { (self.functions.kernel)(&raw mut function, library, name.as_ptr()) })?;
        let bytes = c_int::try_from(kernel.shared_memory).expect("shared memory is less than a megabyte");
        // SAFETY: the kernel was loaded, and the device is the driver's.
        let code = unsafe {
            (self.functions.set_kernel_attribute)(MAX_DYNAMIC_SHARED_MEMORY, bytes, function, device.ordinal)
        };
        self.check("get shared memory for the kernel of FarMass", code)?;
        Ok(Function(function))
    }

    /// Launches a kernel, which takes two addresses of scratch space behind its own arguments.
    ///
    /// # Safety
    /// `function` is `kernel` on the calling thread's GPU, and the arguments are what it takes.
    pub(super) unsafe fn launch(
        &self,
        function: Function,
        kernel: &Kernel,
        [columns, rows]: [u32; 2],
        arguments: &[Argument],
        stream: Stream,
    ) -> Result<()> {
        let no_scratch = [Argument::Address(0); 2];
        let mut places: Vec<_> = arguments.iter().chain(&no_scratch).map(Argument::place).collect();
        // SAFETY: the caller's promise. Arguments are copied before the call returns.
        let code = unsafe {
            (self.functions.launch)(
                function.0,
                columns,
                rows,
                1,
                kernel.threads(),
                1,
                1,
                kernel.shared_memory,
                stream.0,
                places.as_mut_ptr(),
                ptr::null_mut(),
            )
        };
        self.check("launch the kernel of FarMass", code)
    }

    /// Memory of the GPU for work on a stream, freed behind what is on the stream when it is dropped.
    pub(super) fn allocate(&self, bytes: usize, stream: Stream) -> Result<Scratch<'_>> {
        let mut address = 0;
        // SAFETY: the place is ours, and the stream is the caller's.
        let code = unsafe { (self.functions.allocate)(&raw mut address, bytes, stream.0) };
        self.check(&format!("get {bytes} bytes of the GPU's memory"), code)?;
        Ok(Scratch { driver: self, address, stream })
    }

    /// Zeroes memory of the GPU.
    ///
    /// # Safety
    /// The memory is the caller's.
    pub(super) unsafe fn zero(&self, address: u64, bytes: usize, stream: Stream) -> Result<()> {
        // SAFETY: the caller's promise.
        self.check("zero the GPU's memory", unsafe { (self.functions.fill)(address, 0, bytes, stream.0) })
    }

    /// Copies rows of `width` bytes to rows of `target_pitch` bytes.
    ///
    /// # Safety
    /// So much lies at `source`, and `target` has the room.
    pub(super) unsafe fn copy_rows(
        &self,
        source: u64,
        target: u64,
        rows: usize,
        width: usize,
        target_pitch: usize,
        stream: Stream,
    ) -> Result<()> {
        let copy = Copy2d {
            source_x: 0,
            source_y: 0,
            source_type: DEVICE_MEMORY,
            source_host: ptr::null(),
            source,
            source_array: ptr::null(),
            source_pitch: width,
            target_x: 0,
            target_y: 0,
            target_type: DEVICE_MEMORY,
            target_host: ptr::null_mut(),
            target,
            target_array: ptr::null_mut(),
            target_pitch,
            width,
            height: rows,
        };
        // SAFETY: the caller's promise. The description is read before the call returns.
        self.check("pad heads on the GPU", unsafe { (self.functions.copy)(&raw const copy, stream.0) })
    }

    fn check(&self, doing: &str, code: c_int) -> Result<()> {
        match code {
            0 => Ok(()),
            OUT_OF_MEMORY => Err(runtime(format!(
                "the GPU has too little free memory: cannot {doing}; take shorter windows or a GPU with more memory, or end \
                 what else runs on it"
            ))),
            NO_DEVICE => Err(runtime("NVIDIA's driver finds no GPU: use the execution provider cpu".to_owned())),
            code if NOT_LOADABLE.contains(&code) => {
                Err(runtime(format!("cannot {doing}: {}; install a newer driver of NVIDIA's", self.error_text(code))))
            }
            code => Err(runtime(format!("cannot {doing}: {}", self.error_text(code)))),
        }
    }

    fn error_text(&self, code: c_int) -> String {
        let mut text = ptr::null();
        // SAFETY: the place is ours.
        unsafe { (self.functions.error_text)(code, &raw mut text) };
        if text.is_null() {
            return format!("error {code}");
        }
        // SAFETY: texts of the driver are constants.
        let text = unsafe { CStr::from_ptr(text) };
        format!("{} (error {code})", text.to_string_lossy())
    }
}

/// Memory of the GPU.
pub(super) struct Scratch<'a> {
    driver: &'a Driver,
    pub(super) address: u64,
    stream: Stream,
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // SAFETY: it was allocated on this stream and is freed once. An error here is one of earlier work, which is told.
        unsafe { (self.driver.functions.free)(self.address, self.stream.0) };
    }
}

fn cuda_version(library: &Library) -> Result<c_int> {
    let mut version = 0;
    // SAFETY: every driver has this function, which needs no start.
    let code = unsafe {
        let tell = library.get::<unsafe extern "C" fn(*mut c_int) -> c_int>(b"cuDriverGetVersion\0");
        tell.map_err(|cause| runtime(format!("this is no driver of NVIDIA's: {cause}")))?(&raw mut version)
    };
    if code == 0 {
        Ok(version)
    } else {
        Err(runtime(format!("NVIDIA's driver does not tell its version: error {code}")))
    }
}

fn runtime(message: String) -> Error {
    Error::new(ErrorKind::Runtime, message)
}

fn too_old(cuda: c_int, needed: c_int) -> Error {
    let [is, needs] = [cuda, needed].map(|version| format!("{}.{}", version / 1000, version % 1000 / 10));
    let message = format!(
        "NVIDIA's driver is for CUDA {is}, and the kernel of FarMass needs one for CUDA {needs}: install a newer driver, or \
         export the model with `longattn export --attention standard`"
    );
    runtime(message)
}

/// A driver for tests, which computes on the processor.
#[cfg(test)]
pub(crate) mod fake {
    use std::path::PathBuf;
    use std::process::Command;

    use tempfile::TempDir;

    use super::super::kernels::{Element, far_mass};
    use super::*;

    pub(crate) struct Fake {
        library: Library,
        path: PathBuf,
        // Removed when the library is closed.
        _directory: TempDir,
    }

    impl Fake {
        /// One of its own for each test: what it is told holds for all of a library.
        pub(crate) fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(LIBRARY);
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gpu/fake_driver.c");
            let compiled =
                Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&path).args([source, "-lm"]).status();
            assert!(compiled.unwrap().success());
            // SAFETY: it does nothing when it is loaded.
            let library = unsafe { Library::new(&path) }.unwrap();
            Self { library, path, _directory: directory }
        }

        /// Tells it what GPU and driver to be, or which function is to fail with which error.
        pub(crate) fn with(self, what: &str, value: c_int) -> Self {
            let what = CString::new(what).unwrap();
            // SAFETY: that is its type.
            unsafe {
                let set = self.library.get::<unsafe extern "C" fn(*const c_char, c_int)>(b"fake_set\0").unwrap();
                set(what.as_ptr(), value);
            }
            self
        }

        /// Tells it what GPU to be, and what the kernel that this GPU gets for 32-bit floats was compiled for.
        pub(crate) fn compiled_for(self, capability: u32, head_size: usize, capped: bool) -> Self {
            let fake = self.with("capability", capability as c_int);
            let Ok(kernel) = far_mass(capability, Element::Float32, head_size, capped) else { return fake };
            fake.with("head_size", kernel.head_size as c_int).with("block", kernel.block as c_int)
        }

        /// Loads it, never to be unloaded.
        pub(crate) fn load(&self) -> Result<&'static Driver> {
            // SAFETY: it does what the driver does.
            unsafe { Driver::load(self.path.as_os_str()) }.map(|driver| &*Box::leak(Box::new(driver)))
        }

        /// What was called, line by line.
        pub(crate) fn calls(&self) -> Vec<String> {
            // SAFETY: that is its type, and the text stays.
            let calls = unsafe {
                let calls = self.library.get::<unsafe extern "C" fn() -> *const c_char>(b"fake_calls\0").unwrap();
                CStr::from_ptr(calls())
            };
            calls.to_str().unwrap().lines().map(str::to_owned).collect()
        }

        /// How many pieces of memory are not freed.
        pub(crate) fn allocated(&self) -> c_int {
            // SAFETY: that is its type.
            unsafe { self.library.get::<unsafe extern "C" fn() -> c_int>(b"fake_allocated\0").unwrap()() }
        }
    }

    fn refused(fake: &Fake) -> String {
        fake.load().map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_missing_driver_is_told_by_name() {
        // SAFETY: there is no such library.
        let message = unsafe { Driver::load("/nowhere/libcuda.so.1".as_ref()) }.map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("/nowhere/libcuda.so.1") && message.contains("install it"), "{message}");
    }

    #[test]
    fn an_old_driver_and_a_machine_without_a_gpu_are_told() {
        let message = refused(&Fake::new().with("cuda", 11080));
        assert!(
            message.contains("CUDA 11.8") && message.contains("CUDA 12.0") && message.contains("newer"),
            "{message}"
        );
        let message = refused(&Fake::new().with("cuInit", NO_DEVICE));
        assert!(message.contains("finds no GPU") && message.contains("cpu"), "{message}");
    }
}
