//! The contract `statistics`: sums of each head's far attention, taken within the model.

use ndarray::{ArrayD, Ix3, arr0};
use ort::value::DynValue;

use super::layer::Layer;
use super::metadata::{Contract, Metadata};
use super::query_key::{integers, tensor, vectors};
use super::runner::Inputs;
use super::session::{Graph, floats};
use super::verify::Comparison;
use crate::attention::{FarMass, FarRegion, reference_far_mass};
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::score::{Score, VarianceDomain};

pub(super) const INPUTS: [&str; 3] = ["input_ids", "min_distance", "sink_tokens"];
pub(super) const OUTPUTS: [&str; 2] = ["far_mass", "far_square_mass"];

/// Scores a window of token ids once for each far region, which differ in their sinks alone, with one pass through the model.
pub(super) fn scores(
    graph: &Graph,
    ids: &[u32],
    regions: &[FarRegion],
    domain: VarianceDomain,
    layer: Option<Layer>,
    cancel: &Cancel,
) -> Result<Vec<Score>> {
    let values = graph.run(inputs(ids, regions)?, OUTPUTS, cancel)?;
    let settings = far_masses(&values, regions.len())?;
    let score = |(far, heads): (&FarRegion, Vec<FarMass>)| {
        Score::new(&heads[Layer::heads(layer, heads.len())], ids.len(), *far, domain)
    };
    regions.iter().zip(settings).map(score).collect()
}

/// Compares the sums of the deepest scored layer, whose queries and keys the model gives too, with double precision, on one
/// window of token ids.
pub(super) fn verify(
    graph: &Graph,
    metadata: Option<&Metadata>,
    ids: &[u32],
    far: FarRegion,
    domain: VarianceDomain,
    cancel: &Cancel,
) -> Result<Vec<Comparison>> {
    let metadata = metadata.ok_or_else(|| {
        let message = "sums alone cannot be verified: export the model's checkpoint with `longattn export`";
        Error::new(ErrorKind::Unsupported, message)
    })?;
    let [masses, square_masses] = OUTPUTS;
    let names = [masses, square_masses, "query", "key"];
    let [masses, square_masses, queries, keys] = graph.run(inputs(ids, &[far])?, names, cancel)?;
    let (queries, keys) = (vectors("query", &queries, ids.len())?, vectors("key", &keys, ids.len())?);
    let (scale, softcap) = (metadata.attention_scale, metadata.logit_softcap);
    let reference = reference_far_mass(queries.view(), keys.view(), scale, softcap, far, cancel)?;
    let found = far_masses(&[masses, square_masses], 1)?.concat();
    let of_deepest = found.len().saturating_sub(reference.len());
    let score = |heads: &[FarMass]| Score::new(heads, ids.len(), far, domain);
    let (found, reference) = (score(&found[of_deepest..])?, score(&reference)?);
    let computed_by = format!("the model, layer {}", metadata.deepest());
    Ok(vec![Comparison::new(Contract::Statistics, computed_by, &found, &reference)])
}

/// A window, and which of its entries are far.
fn inputs(ids: &[u32], regions: &[FarRegion]) -> Result<Inputs> {
    // More than the window has are as good as all of it, and fit into the graph's integers.
    let tokens = |count: usize| count.min(ids.len()) as i64;
    let min_distance = regions.first().map_or(0, |far| far.min_distance);
    let values = [
        integers(ids.iter().map(|id| i64::from(*id)))?,
        tensor(arr0(tokens(min_distance)))?,
        integers(regions.iter().map(|far| tokens(far.sink_tokens)))?,
    ];
    Ok(INPUTS.into_iter().zip(values).map(|(name, value)| (name.to_owned(), value.into())).collect())
}

/// The far mass of every head, layer by layer, for each of some settings.
fn far_masses(values: &[DynValue; 2], settings: usize) -> Result<Vec<Vec<FarMass>>> {
    let [masses, square_masses] = [0, 1].map(|index| sums(OUTPUTS[index], &values[index], settings));
    let of_setting = |(masses, square_masses): (Vec<f64>, Vec<f64>)| {
        let heads = masses.into_iter().zip(square_masses);
        heads.map(|(mass, square_mass)| FarMass { mass, square_mass }).collect()
    };
    Ok(masses?.into_iter().zip(square_masses?).map(of_setting).collect())
}

/// Sums of the operator, or of a loop of standard operators, which is a float32's.
fn doubles(value: &DynValue) -> Result<ArrayD<f64>> {
    match value.try_extract_array::<f64>() {
        Ok(array) => Ok(array.to_owned()),
        Err(_) => Ok(floats(value)?.mapv(f64::from)),
    }
}

/// An output `[settings, layers, heads]`, setting by setting.
fn sums(output: &str, value: &DynValue, settings: usize) -> Result<Vec<Vec<f64>>> {
    let array = doubles(value)?;
    let shape = array.shape().to_vec();
    let array = array.into_dimensionality::<Ix3>().ok().filter(|array| array.dim().0 == settings);
    let array = array.ok_or_else(|| {
        let message = format!("the output {output} has shape {shape:?} where [{settings}, layers, heads] is due");
        Error::new(ErrorKind::InvalidModel, message)
    })?;
    Ok(array.outer_iter().map(|setting| setting.iter().copied().collect()).collect())
}
