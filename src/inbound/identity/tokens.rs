//! Static tokens, of which only the hashes are known.

use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use crate::caller::Caller;

/// The SHA-256 of each token, and whose it is. A hash without salt is enough for
/// tokens that are random; those that people think up must not be used.
#[derive(Clone, Default)]
pub struct Tokens(Vec<(Hash, Caller)>);

type Hash = [u8; 32];

impl Tokens {
    /// A caller may have several: while it changes from one to the next, both
    /// count.
    #[must_use]
    pub fn new(tokens: Vec<(Hash, Caller)>) -> Self {
        Self(tokens)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token it is. Takes as long for a wrong one as for any other.
    #[must_use]
    pub fn caller(&self, token: &str) -> Option<Caller> {
        let presented: Hash = Sha256::digest(token).into();
        let none = u32::MAX;
        let mut found = none;
        for (index, (hash, _)) in (0..none).zip(&self.0) {
            found.conditional_assign(&index, hash.ct_eq(&presented));
        }
        let index = usize::try_from(found).ok().filter(|_| found != none)?;
        self.0.get(index).map(|(_, caller)| caller.clone())
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens([{} redacted])", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_and_may_have_a_successor() {
        let caller = |name: &str| Caller::named(name).unwrap();
        let hash = |token: &str| Sha256::digest(token).into();
        let tokens = Tokens::new(vec![
            (hash("old"), caller("shop")),
            (hash("new"), caller("shop")),
            (hash("other"), caller("team")),
        ]);
        assert_eq!(tokens.caller("old"), Some(caller("shop")));
        assert_eq!(tokens.caller("new"), Some(caller("shop")));
        assert_eq!(tokens.caller("other"), Some(caller("team")));
        for wrong in ["", "ol", "oldx", "OLD"] {
            assert_eq!(tokens.caller(wrong), None, "{wrong:?}");
        }
        assert_eq!(Tokens::default().caller("old"), None);
    }
}
