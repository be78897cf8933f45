//! The operator `FarMass` of ONNX graphs, on the processor and on NVIDIA's GPUs.

mod gpu;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{ArrayView3, ArrayView4, Ix4};
use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput};
use ort::value::TensorElementType::{Float32, Float64, Int64};
use ort::value::ValueRef;

use self::gpu::FarMassOnGpu;
use crate::attention::{FarMass, FarRegion, InstructionSet, PackedKeys, Precision, StreamingAttention, Workers};
use crate::cancel::Cancel;
use crate::config::Config;
use crate::error::Result;

/// The operators of this project.
pub(crate) const DOMAIN: &str = "longattn";

/// Far mass and far square mass of each head, from its queries and keys.
///
/// | | name | type | shape |
/// | --- | --- | --- | --- |
/// | input | `query` | float32; on a GPU also float16 and bfloat16 | `[batch, heads, rows, head_size]` |
/// | | `key` | the same | `[batch, key_value_heads, length, head_size]` |
/// | | `first_row`: position of the first query; the others follow | int64 | `[]` |
/// | | `min_distance` | int64 | `[]` |
/// | | `sink_tokens` | int64 | `[settings]` |
/// | output | `far_mass`: `S1` of each head, over its rows | float64 | `[settings, batch, heads]` |
/// | | `far_square_mass`: `S2` | float64 | `[settings, batch, heads]` |
/// | attribute | `scale`: factor on products of queries and keys | float | |
/// | | `softcap`: a logit `x` becomes `softcap · tanh(x / softcap)`; none where it is missing | float | |
pub(crate) const FAR_MASS: &str = "FarMass";

/// The run that goes on in a session, which takes one at a time: what ends the operators in it.
#[derive(Clone, Default)]
pub(super) struct CurrentRun(Arc<Mutex<Cancel>>);

impl CurrentRun {
    pub(super) fn begin(&self, cancel: Cancel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = cancel;
    }

    fn cancel(&self) -> Cancel {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The operators of this project, for a session.
pub(super) fn operators(config: &Config, run: &CurrentRun) -> ort::Result<OperatorDomain> {
    let on_processor = FarMassOperator {
        instruction_set: config.instruction_set,
        precision: config.precision.unwrap_or(Precision::Float32),
        run: run.clone(),
    };
    let domain = OperatorDomain::new(DOMAIN)?.add(on_processor)?;
    match config.execution_provider.runs_operators() {
        Some(provider) => with_gpu(domain, provider),
        None => Ok(domain),
    }
}

fn with_gpu(domain: OperatorDomain, provider: &'static str) -> ort::Result<OperatorDomain> {
    FarMassOnGpu::all(provider).into_iter().try_fold(domain, OperatorDomain::add)
}

/// Runs an operator, whose panics may not cross ONNX Runtime.
fn guarded(work: impl FnOnce() -> ort::Result<()>) -> ort::Result<()> {
    let bug = || ort::Error::new("a panic in the operator FarMass: this is a bug of longattn");
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(bug()))
}

/// What a node of the graph says of its operator.
#[derive(Clone, Copy)]
struct Attributes {
    scale: f32,
    softcap: Option<f32>,
}

impl Attributes {
    fn of(context: &KernelContext) -> ort::Result<Self> {
        let scale = context.get("scale").ok_or_else(|| ort::Error::new("FarMass lacks its attribute scale"))?;
        Ok(Self { scale, softcap: context.get("softcap") })
    }
}

#[derive(Clone)]
struct FarMassOperator {
    instruction_set: InstructionSet,
    precision: Precision,
    run: CurrentRun,
}

impl Operator for FarMassOperator {
    type Kernel<'attr> = FarMassKernel;

    fn name(&self) -> &str {
        FAR_MASS
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [Float32, Float32, Int64, Int64, Int64].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [Float64, Float64].map(OperatorOutput::required)
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<FarMassKernel> {
        Ok(FarMassKernel { attributes: Attributes::of(context)?, operator: self.clone() })
    }
}

struct FarMassKernel {
    attributes: Attributes,
    operator: FarMassOperator,
}

impl Kernel for FarMassKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        guarded(|| self.give_sums(context))
    }
}

impl FarMassKernel {
    fn give_sums(&self, context: &ComputeContext) -> ort::Result<()> {
        let [queries, keys, first_row, min_distance, sink_tokens] = std::array::from_fn(|index| input(context, index));
        let (queries, keys, sink_tokens) = (queries?, keys?, sink_tokens?);
        let (queries, keys) = (vectors(&queries)?, vectors(&keys)?);
        let first_row = count(first_row?.try_extract_scalar()?)?;
        let min_distance = count(min_distance?.try_extract_scalar()?)?;
        let (_, sink_tokens) = sink_tokens.try_extract_tensor::<i64>()?;
        let far_region = |sinks: &i64| Ok(FarRegion { min_distance, sink_tokens: count(*sinks)? });
        let regions: Vec<_> = sink_tokens.iter().map(far_region).collect::<ort::Result<_>>()?;

        let (batch, heads, ..) = queries.dim();
        if keys.dim().0 != batch {
            return Err(ort::Error::new(format!("queries of {batch} windows and keys of {}", keys.dim().0)));
        }
        let mut sums = vec![FarMass::default(); regions.len() * batch * heads];
        for (window, (queries, keys)) in queries.outer_iter().zip(keys.outer_iter()).enumerate() {
            let of_window = self.far_masses(context, queries, keys, first_row, &regions).map_err(ort::Error::wrap)?;
            for (setting, of_heads) in of_window.iter().enumerate() {
                let first = (setting * batch + window) * heads;
                sums[first..first + heads].copy_from_slice(of_heads);
            }
        }
        let shape = [regions.len(), batch, heads];
        give(context, 0, shape, sums.iter().map(|sum| sum.mass))?;
        give(context, 1, shape, sums.iter().map(|sum| sum.square_mass))
    }

    /// The sums of each head of a window for each far region, in the bits of the contract `query-key`.
    fn far_masses(
        &self,
        context: &ComputeContext,
        queries: ArrayView3<f32>,
        keys: ArrayView3<f32>,
        first_row: usize,
        regions: &[FarRegion],
    ) -> Result<Vec<Vec<FarMass>>> {
        let Some(first) = regions.first() else { return Ok(Vec::new()) };
        let mut packed = PackedKeys::zeros(keys.dim());
        packed.set(0, keys)?;
        let Attributes { scale, softcap } = self.attributes;
        let mut attention = StreamingAttention::new(packed, scale.into(), *first, self.operator.instruction_set)?
            .with_logit_softcap(softcap.map(f64::from))
            .with_precision(self.operator.precision)
            .with_cancel(&self.operator.run.cancel());
        let rows: Vec<_> = (first_row..first_row + queries.dim().1).collect();
        let mut sums = Vec::new();
        for region in regions {
            attention = attention.with_far_region(*region);
            let masses = attention.far_masses_by(&RuntimeThreads(context), queries, &rows)?;
            sums.push(masses.outer_iter().map(|rows| rows.iter().copied().sum()).collect());
        }
        Ok(sums)
    }
}

/// The threads of ONNX Runtime, which the model itself runs on.
struct RuntimeThreads<'a>(&'a ComputeContext);

impl Workers for RuntimeThreads<'_> {
    fn share(&self, pieces: usize, work: &(dyn Fn(usize) + Sync)) {
        // A batch is what a thread takes at a time: of one piece, none waits long for the last.
        let panicked = Mutex::new(None);
        let guarded = |piece| {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(piece))) {
                *panicked.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
        };
        self.0.par_for(pieces, pieces, guarded).expect("ONNX Runtime shares work among its threads");
        if let Some(panic) = panicked.into_inner().unwrap_or_else(PoisonError::into_inner) {
            std::panic::resume_unwind(panic);
        }
    }
}

fn input(context: &ComputeContext, index: usize) -> ort::Result<ValueRef<'_>> {
    context.input(index)?.ok_or_else(|| ort::Error::new(format!("FarMass lacks its input {index}")))
}

fn vectors<'a>(value: &'a ValueRef<'_>) -> ort::Result<ArrayView4<'a, f32>> {
    value.try_extract_array::<f32>()?.into_dimensionality::<Ix4>().map_err(ort::Error::wrap)
}

fn count(number: i64) -> ort::Result<usize> {
    usize::try_from(number).map_err(|_| ort::Error::new(format!("{number} in the place of a number of tokens")))
}

fn give(
    context: &ComputeContext,
    index: usize,
    shape: [usize; 3],
    numbers: impl Iterator<Item = f64>,
) -> ort::Result<()> {
    let Some(mut output) = context.output(index, shape.as_slice())? else { return Ok(()) };
    let mut output = output.try_extract_array_mut::<f64>()?;
    output.iter_mut().zip(numbers).for_each(|(place, number)| *place = number);
    Ok(())
}
