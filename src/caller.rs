//! Who calls.

use std::fmt;
use std::sync::Arc;

/// The identity of a caller: the key of its allowance, of fair queueing and of
/// idempotency.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Caller {
    /// Nobody said who.
    Anonymous,
    /// The name that the caller proved, or was believed.
    Named(Arc<str>),
}

impl Caller {
    /// The longest name that is accepted, in bytes.
    pub const MAX_NAME: usize = 256;

    /// A caller with this name: 1 to 256 visible ASCII characters.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_NAME).contains(&name.len());
        (fits && name.bytes().all(|b| b.is_ascii_graphic())).then(|| Self::Named(name.into()))
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::Named(name) => name,
        })
    }
}
