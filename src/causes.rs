//! An error in one line: itself and everything that caused it.

use std::error::Error;
use std::fmt;

/// What caused an error, the nearest first.
pub(crate) fn of<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

/// Shows an error followed by its causes. Many errors say only their kind
/// themselves ("transport error") and leave the reason to their source.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        of(self.0)
            .map(ToString::to_string)
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}
