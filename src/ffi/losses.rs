use super::argument::{Output, array, optional, reference};
use super::cancel::{longattn_cancel, token_of};
use super::error::{Status, longattn_error};
use super::guard;
use super::scorer::longattn_scorer;
use crate::error::{Error, ErrorKind};

/// Gives the losses of the tokens of one window, framed and cut as longattn_scorer_score_tokens() does: the negative
/// log-likelihood in nats of each token but the first, given those before it, by all layers of the model.
///
/// `losses` is a buffer of the caller's for `capacity` numbers; the setting window less 1 are enough in any case. `*count`
/// is set to how many there are.
///
/// LONGATTN_STATUS_UNSUPPORTED where the package tells no losses (`longattn export --gain` makes one that does),
/// LONGATTN_STATUS_INVALID_ARGUMENT where the buffer is too small, and the errors of longattn_scorer_score().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_losses(
    scorer: *const longattn_scorer,
    ids: *const u32,
    id_count: usize,
    cancel: *const longattn_cancel,
    losses: *mut f32,
    capacity: usize,
    count: *mut usize,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory that holds what the lengths say, and places to write to.
        let (scorer, ids, cancel, output, count) = unsafe {
            (
                reference(scorer, "scorer")?,
                array(ids, id_count, "ids")?,
                optional(cancel, "cancel")?,
                Output::many(losses, capacity, "losses")?,
                Output::one(count, "count")?,
            )
        };
        let losses = scorer.0.losses(ids, &token_of(cancel))?;
        if losses.len() > capacity {
            let message = format!("capacity is {capacity}, and the window has {} losses", losses.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        count.set([losses.len()]);
        output.set(losses);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Gives the information gain of one window, framed and cut as longattn_scorer_score_tokens() does, in nats a token: how
/// much lower the loss of a token is when the model sees the whole window before it than when it sees only the last 128 to
/// 255 tokens. It is the mean over the tokens from the 256th on, counted from 0, and may be negative.
///
/// LONGATTN_STATUS_UNSUPPORTED where the package tells no losses (`longattn export --gain` makes one that does),
/// LONGATTN_STATUS_TOO_SHORT below 257 tokens, and the errors of longattn_scorer_score().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_information_gain(
    scorer: *const longattn_scorer,
    ids: *const u32,
    id_count: usize,
    cancel: *const longattn_cancel,
    gain: *mut f64,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory that holds what the length says, and a place to write to.
        let (scorer, ids, cancel, gain) = unsafe {
            (
                reference(scorer, "scorer")?,
                array(ids, id_count, "ids")?,
                optional(cancel, "cancel")?,
                Output::one(gain, "gain")?,
            )
        };
        gain.set([scorer.0.information_gain(ids, &token_of(cancel))?]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}
