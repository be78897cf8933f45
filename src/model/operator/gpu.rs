//! The operator `FarMass` on NVIDIA's GPUs: the kernel of [`attention::gpu`](crate::attention::gpu) on ONNX Runtime's stream.

use std::ptr;

use ort::memory::MemoryType;
use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::{self, Bfloat16, Float16, Float32, Float64, Int64};
use ort::value::{DynTensorValueType, ValueRef};

use super::{Attributes, FAR_MASS, count, guarded, input};
use crate::attention::gpu::{Addresses, Driver, Element, Problem, Stream, far_masses};
use crate::error::Result;

/// The operator for one type of queries and keys. Their sums never leave the GPU before they are outputs.
#[derive(Clone, Copy)]
pub(super) struct FarMassOnGpu {
    element: Element,
    /// As ONNX Runtime calls it.
    provider: Option<&'static str>,
    driver: fn() -> Result<&'static Driver>,
}

impl FarMassOnGpu {
    /// Those of an execution provider of ONNX Runtime.
    pub(super) fn all(provider: &'static str) -> [Self; 3] {
        [Element::Float16, Element::BFloat16, Element::Float32].map(|element| Self {
            element,
            provider: Some(provider),
            driver: Driver::of_machine,
        })
    }

    fn element_type(&self) -> TensorElementType {
        match self.element {
            Element::Float16 => Float16,
            Element::BFloat16 => Bfloat16,
            Element::Float32 => Float32,
        }
    }
}

impl Operator for FarMassOnGpu {
    type Kernel<'attr> = FarMassKernel;

    fn name(&self) -> &str {
        FAR_MASS
    }

    fn execution_provider_type(&self) -> Option<&str> {
        self.provider
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let vectors = || OperatorInput::required(self.element_type());
        let number = || OperatorInput::required(Int64).memory_type(MemoryType::CPUInput);
        // The kernel itself reads the numbers of sinks.
        [vectors(), vectors(), number(), number(), OperatorInput::required(Int64)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [Float64, Float64].map(OperatorOutput::required)
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<FarMassKernel> {
        Ok(FarMassKernel { attributes: Attributes::of(context)?, operator: *self })
    }
}

pub(super) struct FarMassKernel {
    attributes: Attributes,
    operator: FarMassOnGpu,
}

impl Kernel for FarMassKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        guarded(|| self.launch(context))
    }
}

impl FarMassKernel {
    fn launch(&self, context: &ComputeContext) -> ort::Result<()> {
        let [queries, keys, first_row, min_distance, sink_tokens] = std::array::from_fn(|index| input(context, index));
        let (queries, keys, sink_tokens) = (OnGpu::of(queries?)?, OnGpu::of(keys?)?, OnGpu::of(sink_tokens?)?);
        let ([windows, heads, rows, head_size], [keys_windows, key_heads, length, key_size], [settings]) =
            (queries.shape()?, keys.shape()?, sink_tokens.shape()?);
        if (windows, head_size) != (keys_windows, key_size) {
            let message = format!("queries {:?} and keys {:?} do not fit", queries.shape, keys.shape);
            return Err(ort::Error::new(message));
        }
        let problem = Problem {
            element: self.operator.element,
            windows,
            heads,
            key_heads,
            rows,
            length,
            head_size,
            first_row: count(first_row?.try_extract_scalar()?)?,
            min_distance: count(min_distance?.try_extract_scalar()?)?,
            settings,
            scale: self.attributes.scale,
            softcap: self.attributes.softcap,
        };
        let shape = [settings, windows, heads];
        let at = Addresses {
            queries: queries.address,
            keys: keys.address,
            sink_tokens: sink_tokens.address,
            masses: output(context, 0, shape)?,
            square_masses: output(context, 1, shape)?,
        };
        let stream = Stream(context.stream()?.map_or(ptr::null_mut(), ptr::NonNull::as_ptr));
        let driver = (self.operator.driver)().map_err(ort::Error::wrap)?;
        // SAFETY: ONNX Runtime has set the thread's GPU to that of the stream, allocated inputs and outputs there, and keeps
        // them for what is on the stream.
        unsafe { far_masses(driver, stream, &problem, &at) }.map_err(ort::Error::wrap)
    }
}

/// A tensor whose numbers the processor does not see.
struct OnGpu {
    address: u64,
    shape: Vec<i64>,
}

impl OnGpu {
    fn of(value: ValueRef<'_>) -> ort::Result<Self> {
        let tensor = value.downcast::<DynTensorValueType>()?;
        Ok(Self { address: tensor.data_ptr().addr() as u64, shape: tensor.shape().to_vec() })
    }

    fn shape<const DIMENSIONS: usize>(&self) -> ort::Result<[usize; DIMENSIONS]> {
        let lengths: Vec<_> = self.shape.iter().map(|length| count(*length)).collect::<ort::Result<_>>()?;
        let wrong = |lengths| {
            ort::Error::new(format!("a tensor of FarMass has shape {lengths:?}, not {DIMENSIONS} dimensions"))
        };
        lengths.try_into().map_err(wrong)
    }
}

/// Where an output goes.
fn output(context: &ComputeContext, index: usize, shape: [usize; 3]) -> ort::Result<u64> {
    let missing = || ort::Error::new(format!("FarMass lacks its output {index}"));
    let value = context.output(index, shape.as_slice())?.ok_or_else(missing)?;
    Ok(value.downcast::<DynTensorValueType>()?.data_ptr().addr() as u64)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::OnceLock;

    use ndarray::{Array1, arr0, arr1};
    use ort::operator::OperatorDomain;
    use ort::session::Session;
    use ort::value::Tensor;

    use super::super::{CurrentRun, DOMAIN, operators, with_gpu};
    use super::*;
    use crate::attention::gpu::fake::Fake;
    use crate::config::Config;
    use crate::model::runtime::runtime;

    static DRIVER: OnceLock<&'static Driver> = OnceLock::new();

    /// A window's sums by a package whose operators are of this domain, with three numbers of sinks.
    fn sums(domain: OperatorDomain) -> [Vec<f64>; 2] {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let runtime = runtime(Some(&project.join("target/fetch/libonnxruntime.so"))).unwrap();
        let builder = Session::builder(&runtime.environment).unwrap().with_operators(domain).unwrap();
        let mut session = { builder }.commit_from_file(project.join("tests/data/tiny/statistics/model.onnx")).unwrap();
        let ids = Array1::from_iter((0..60_i64).map(|token| token * token % 97));
        let inputs = ort::inputs![
            "input_ids" => Tensor::from_array(ids).unwrap(),
            "min_distance" => Tensor::from_array(arr0(15_i64)).unwrap(),
            "sink_tokens" => Tensor::from_array(arr1(&[0_i64, 4, 50])).unwrap()
        ];
        let outputs = session.run(inputs).unwrap();
        ["far_mass", "far_square_mass"]
            .map(|name| outputs[name].try_extract_array::<f64>().unwrap().iter().copied().collect())
    }

    fn on_processor() -> OperatorDomain {
        operators(&Config::default(), &CurrentRun::default()).unwrap()
    }

    #[test]
    fn the_launch_that_a_graph_asks_for_gives_the_sums_of_the_processor() {
        let fake = Fake::new().compiled_for(90, 64, false);
        assert!(DRIVER.set(fake.load().unwrap()).is_ok());
        let driver = || Ok(*DRIVER.get().unwrap());
        let on_gpu = FarMassOnGpu { element: Element::Float32, provider: None, driver };
        let found = sums(OperatorDomain::new(DOMAIN).unwrap().add(on_gpu).unwrap());
        for (found, expected) in found.iter().flatten().zip(sums(on_processor()).iter().flatten()) {
            assert!((found - expected).abs() <= 1e-5 * expected, "{found} is not {expected}");
        }
        assert_eq!(fake.calls().iter().filter(|call| call.starts_with("cuLaunchKernel far_mass")).count(), 1);
        assert_eq!(fake.allocated(), 0);
    }

    #[test]
    fn operators_for_gpus_do_not_change_the_bits_of_the_processor() {
        assert_eq!(sums(with_gpu(on_processor(), "CUDAExecutionProvider").unwrap()), sums(on_processor()));
    }
}
