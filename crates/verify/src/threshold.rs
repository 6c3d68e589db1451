//! Thresholds: so many observers, counted over distinct keys.

use std::collections::BTreeSet;
use std::num::NonZeroU8;

use crate::refusal::{Observers, Refusal};

/// Checks that nothing speaks against doing without these observers: whoever may do without gives
/// up the one that is wanted anyway, but a trust root that demands several demands them still.
pub(crate) fn check_none(observers: Observers, wanted: NonZeroU8) -> Result<(), Refusal> {
    if wanted > NonZeroU8::MIN {
        return Err(Refusal::TooFewObservers { observers, wanted, found: 0 });
    }
    Ok(())
}

/// Checks that at least so many different keys are among these.
pub(crate) fn check_threshold<'k>(
    observers: Observers,
    wanted: NonZeroU8,
    keys: impl Iterator<Item = &'k [u8]>,
) -> Result<(), Refusal> {
    let found = keys.collect::<BTreeSet<_>>().len();
    if found < usize::from(wanted.get()) {
        return Err(Refusal::TooFewObservers { observers, wanted, found });
    }
    Ok(())
}
