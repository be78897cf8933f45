//! The compiled kernels, and which of them serves a GPU.

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use liblzma::read::XzDecoder;
use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    serde_json::from_str(include_str!("kernels.json")).expect("kernels.json is what compile.py writes")
});

static CODE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut code = Vec::new();
    let mut compressed = XzDecoder::new(&include_bytes!("kernels.xz")[..]);
    compressed.read_to_end(&mut code).expect("kernels.xz is what compile.py writes");
    code
});

#[derive(Deserialize)]
struct Facts {
    #[cfg_attr(not(test), expect(dead_code, reason = "for the test that the code is current"))]
    source_sha256: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the test that the code is current"))]
    code_sha256: String,
    /// The CUDA that compiled them, as drivers count: 12090 is 12.9.
    cuda: i32,
    /// Names in the order of a launch.
    parameters: HashMap<String, Vec<String>>,
    kernels: Vec<Kernel>,
}

/// The type of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Element {
    Float16,
    BFloat16,
    Float32,
}

impl Element {
    /// The bytes of a number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Float16 | Self::BFloat16 => 2,
            Self::Float32 => 4,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// Machine code.
    Cubin,
    /// Text that a driver compiles for GPUs newer than its own target.
    Ptx,
}

/// A kernel for one generation of GPUs.
#[derive(Debug, Deserialize)]
pub(super) struct Kernel {
    pub(super) function: String,
    /// Ten times the compute capability that it is compiled for.
    capability: u32,
    format: Format,
    element: Option<Element>,
    head_size: Option<usize>,
    capped: Option<bool>,
    block: Option<usize>,
    warps: u32,
    /// Dynamic shared memory of a block of threads, in bytes.
    pub(super) shared_memory: u32,
    offset: usize,
    length: usize,
}

impl Kernel {
    /// What the driver loads.
    pub(super) fn code(&self) -> &'static [u8] {
        &CODE[self.offset..self.offset + self.length]
    }

    /// The threads of a block.
    pub(super) fn threads(&self) -> u32 {
        32 * self.warps
    }

    /// The oldest CUDA whose driver can load it, as drivers count. All of one major version load each other's machine code.
    pub(super) fn needed_cuda(&self) -> i32 {
        match self.format {
            Format::Cubin => FACTS.cuda / 1000 * 1000,
            Format::Ptx => FACTS.cuda,
        }
    }

    /// Machine code runs on the same generation; that for 9.0 and newer, on its very GPU, for whose matrix units it is.
    fn serves(&self, capability: u32) -> bool {
        match self.format {
            Format::Cubin if self.capability >= 90 => self.capability == capability,
            Format::Cubin => self.capability / 10 == capability / 10 && self.capability <= capability,
            Format::Ptx => self.capability <= capability,
        }
    }
}

/// A kernel of far mass with what it is compiled for.
#[derive(Clone, Copy)]
pub(super) struct FarMassKernel {
    pub(super) kernel: &'static Kernel,
    /// The size of heads, to which smaller ones are padded.
    pub(super) head_size: usize,
    /// The rows of a block.
    pub(super) block: usize,
}

/// The kernel of far mass for a GPU of a compute capability, times ten.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a GPU that is too old, and for heads that are too large.
pub(super) fn far_mass(capability: u32, element: Element, head_size: usize, capped: bool) -> Result<FarMassKernel> {
    let fitting = |kernel: &'static Kernel| {
        let found = FarMassKernel { kernel, head_size: kernel.head_size?, block: kernel.block? };
        let fits = kernel.element == Some(element) && kernel.capped == Some(capped) && found.head_size >= head_size;
        (fits && kernel.serves(capability)).then_some(found)
    };
    let fitting = FACTS.kernels.iter().filter_map(fitting);
    let best = fitting.min_by_key(|found| (found.kernel.format, found.head_size));
    best.ok_or_else(|| too_old(capability).unwrap_or_else(|| too_large(head_size)))
}

/// The kernel that adds up blocks of rows.
pub(super) fn sum_blocks(capability: u32) -> Result<&'static Kernel> {
    let sums = FACTS.kernels.iter().filter(|kernel| kernel.function == "sum_blocks" && kernel.serves(capability));
    sums.min_by_key(|kernel| kernel.format).ok_or_else(|| too_old(capability).unwrap_or_else(|| too_large(0)))
}

/// The names of a kernel's parameters in the order of a launch.
pub(super) fn parameters(function: &str) -> &'static [String] {
    &FACTS.parameters[function]
}

/// What helps where no kernel does.
const OTHERWISE: &str =
    "export the model with `longattn export --attention standard`, or use the execution provider cpu";

fn too_old(capability: u32) -> Option<Error> {
    let oldest = FACTS.kernels.iter().map(|kernel| kernel.capability).min().unwrap_or_default();
    let [is, needs] = [capability, oldest].map(|number| format!("{}.{}", number / 10, number % 10));
    (capability < oldest).then(|| {
        let message = format!(
            "this GPU has compute capability {is}, and the kernel of FarMass needs {needs} or newer: {OTHERWISE}"
        );
        Error::new(ErrorKind::Unsupported, message)
    })
}

fn too_large(head_size: usize) -> Error {
    let largest = FACTS.kernels.iter().filter_map(|kernel| kernel.head_size).max().unwrap_or_default();
    let message = format!(
        "heads of {head_size} numbers are too large for the GPU's kernel of FarMass, which takes up to {largest}: {OTHERWISE}"
    );
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    const ELEMENTS: [Element; 3] = [Element::Float16, Element::BFloat16, Element::Float32];

    #[test]
    fn the_compiled_kernels_are_current() {
        let again = "the kernels are stale: run `make gpu-kernels`";
        assert_eq!(FACTS.source_sha256, Digest::of(include_bytes!("far_mass.py")).to_string(), "{again}");
        assert_eq!(FACTS.code_sha256, Digest::of(&*CODE).to_string(), "{again}");
    }

    #[test]
    fn every_kernel_is_code_of_its_format() {
        let mut end = 0;
        for kernel in &FACTS.kernels {
            assert_eq!(kernel.offset, end);
            end += kernel.length;
            let code = kernel.code();
            match kernel.format {
                Format::Cubin => assert!(code.starts_with(b"\x7fELF"), "{kernel:?}"),
                Format::Ptx => assert_eq!(code.iter().position(|byte| *byte == 0), Some(code.len() - 1), "{kernel:?}"),
            }
        }
        assert_eq!(end, CODE.len());
    }

    #[test]
    fn a_gpu_gets_machine_code_of_its_generation_and_newer_ones_what_their_driver_compiles() {
        let own = [(80, 80), (86, 80), (87, 80), (89, 80), (90, 90), (100, 100), (120, 120)];
        for (capability, compiled_for) in own {
            for element in ELEMENTS {
                let kernel = far_mass(capability, element, 128, false).unwrap().kernel;
                assert_eq!((kernel.capability, kernel.format), (compiled_for, Format::Cubin), "{capability}");
            }
            assert_eq!(sum_blocks(capability).unwrap().capability, compiled_for);
        }
        for newer in [103, 110, 121, 130] {
            let kernel = far_mass(newer, Element::Float16, 128, true).unwrap().kernel;
            assert_eq!((kernel.capability, kernel.format), (80, Format::Ptx), "{newer}");
        }
    }

    #[test]
    fn heads_are_padded_as_little_as_may_be() {
        for (head_size, padded) in [(1, 64), (64, 64), (65, 80), (80, 80), (81, 96), (97, 128), (129, 256), (256, 256)]
        {
            assert_eq!(far_mass(90, Element::BFloat16, head_size, false).unwrap().head_size, padded);
        }
        assert_eq!(far_mass(90, Element::Float32, 80, false).unwrap().head_size, 96);
        assert_eq!(far_mass(90, Element::Float32, 80, true).unwrap().head_size, 128);
    }

    #[test]
    fn what_no_kernel_serves_is_told_with_what_helps() {
        let old = far_mass(75, Element::Float16, 64, false).map(|_| ()).unwrap_err().to_string();
        assert!(old.contains("7.5") && old.contains("8.0") && old.contains("--attention standard"), "{old}");
        let large = far_mass(90, Element::Float16, 257, false).map(|_| ()).unwrap_err().to_string();
        assert!(large.contains("257") && large.contains("256") && large.contains("--attention standard"), "{large}");
    }
}
