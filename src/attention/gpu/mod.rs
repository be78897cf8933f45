//! Far mass on NVIDIA's GPUs.
//!
//! The kernels are written in Triton (`far_mass.py`) and compiled ahead of time (`compile.py`, by `make gpu-kernels`) to the
//! machine code in `kernels.xz`, which `kernels.json` describes. All that is needed where they run is NVIDIA's driver, which is
//! loaded when the first of them is launched. Not one of them has ever run on a GPU: they are right by Triton's interpreter,
//! and what launches them is tested with a driver of our own that computes on the processor.

mod driver;
mod kernels;
mod launch;

pub(crate) use driver::{Driver, Stream};
pub(crate) use kernels::Element;
pub(crate) use launch::{Addresses, Problem, far_masses};

#[cfg(test)]
pub(crate) use driver::fake;
