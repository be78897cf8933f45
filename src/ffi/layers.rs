use super::argument::{Output, optional, reference};
use super::cancel::{longattn_cancel, token_of};
use super::error::{Status, longattn_error};
use super::score::{check_layers, layers_of, longattn_layer_score, longattn_score};
use super::scorer::{input_of, longattn_input, longattn_scorer};
use super::{get, guard};

/// The number of layers that each window is scored by; 0 where the model does not tell which they are, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_layer_count(scorer: *const longattn_scorer) -> usize {
    // SAFETY: the header asks for NULL or a live scorer.
    unsafe { get(scorer, 0, |scorer| layers_of(&scorer.0).len()) }
}

/// Scores one window by several layers in one pass, until `cancel`, unless NULL, is asked to stop.
///
/// `layers` is a buffer of the caller's for `layer_capacity` layers, at least longattn_scorer_layer_count() of them, and
/// set in the order of the package. `score`, unless NULL, is set to the mean over all of them, with the bits of
/// longattn_scorer_score().
///
/// LONGATTN_STATUS_UNSUPPORTED where the model does not tell its layers, LONGATTN_STATUS_INVALID_ARGUMENT where the buffer
/// is too small, and the errors of longattn_scorer_score().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_score_layers(
    scorer: *const longattn_scorer,
    input: *const longattn_input,
    cancel: *const longattn_cancel,
    layers: *mut longattn_layer_score,
    layer_capacity: usize,
    score: *mut longattn_score,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory that holds what the lengths say, and places to write to.
        let (scorer, input, cancel, layers_output, score_output) = unsafe {
            (
                reference(scorer, "scorer")?,
                input_of(reference(input, "input")?)?,
                optional(cancel, "cancel")?,
                Output::many(layers, layer_capacity, "layers")?,
                Output::optional(score, "score")?,
            )
        };
        let layers = layers_of(&scorer.0);
        check_layers(layers, layer_capacity)?;
        let score = scorer.0.score(input, &token_of(cancel))?;
        layers_output.set(layers.iter().zip(score.layers(layers.len())).map(Into::into));
        score_output.set([(&score).into()]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}
