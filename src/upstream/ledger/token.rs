//! The token by which AWS knows an intent.

use sha2::{Digest as _, Sha256};

use crate::caller::Caller;
use crate::session::Token;

/// The token that AWS gets for `token` of `caller`: one token of two callers
/// makes two. An anonymous caller's goes to AWS as it is; a named caller's
/// becomes the SHA-256 of (name, NUL, token) in lower-case hexadecimal: 64
/// characters, the most that AWS takes.
///
/// No name holds a NUL, so no two pairs are hashed alike.
pub(super) fn upstream(caller: &Caller, token: &Token) -> Token {
    let Caller::Named(name) = caller else {
        return token.clone();
    };
    let digest = Sha256::new()
        .chain_update(name.as_bytes())
        .chain_update([0])
        .chain_update(token.as_str())
        .finalize();
    Token::of_digest(digest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        Token::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn an_anonymous_callers_token_goes_to_aws_as_it_is() {
        assert_eq!(upstream(&Caller::Anonymous, &token("t-1")), token("t-1"));
    }

    #[test]
    fn a_named_callers_token_is_hashed_with_the_name() {
        let expected = "23577d02b06b4cbb9978612163ff098e0ff1b9c5203e811234b4b38f89d7038e";
        let hashed = upstream(&Caller::named("shop").unwrap(), &token("t-1"));
        assert_eq!(hashed.as_str(), expected);
    }

    #[test]
    fn one_token_of_two_callers_makes_two_and_each_is_a_token() {
        let of = |name| upstream(&Caller::named(name).unwrap(), &token("t-1"));
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        assert!(Token::parse(of("a").as_str().to_owned()).is_ok());
    }
}
