//! The key pairs whose signatures the emulator accepts.

use std::fmt;
use std::str::FromStr;

/// The account that key pairs belong to unless they name another.
pub const DEFAULT_ACCOUNT: &str = "000000000000";

/// A key pair that may sign requests, and the account it belongs to.
///
/// Sessions, idempotency tokens and quotas belong to an account, as they do at AWS: two key pairs
/// of one account see the same sessions and share one quota.
///
/// The text form, which the command line uses, is `ACCESS_KEY:SECRET` or
/// `ACCESS_KEY:SECRET:ACCOUNT`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    access_key: String,
    secret_key: String,
    account: String,
}

impl Credentials {
    /// A key pair of [`DEFAULT_ACCOUNT`].
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            account: DEFAULT_ACCOUNT.into(),
        }
    }

    /// The same key pair in another account.
    #[must_use]
    pub fn in_account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// The access key id, the public half.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The account the pair belongs to.
    pub fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn secret_key(&self) -> &str {
        &self.secret_key
    }
}

/// `test` with the secret `test`, the pair that is accepted when no other is given.
impl Default for Credentials {
    fn default() -> Self {
        Self::new("test", "test")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("secret_key", &"** redacted **")
            .field("account", &self.account)
            .finish()
    }
}

/// The text is not `ACCESS_KEY:SECRET` or `ACCESS_KEY:SECRET:ACCOUNT`.
///
/// The text itself is left out, as it may hold a secret.
#[derive(Debug, thiserror::Error)]
#[error("credentials are written ACCESS_KEY:SECRET or ACCESS_KEY:SECRET:ACCOUNT, no part empty")]
pub struct ParseError;

impl FromStr for Credentials {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            parts if parts.iter().any(|part| part.is_empty()) => Err(ParseError),
            [access_key, secret] => Ok(Self::new(*access_key, *secret)),
            [access_key, secret, account] => {
                Ok(Self::new(*access_key, *secret).in_account(*account))
            }
            _ => Err(ParseError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_secret() {
        let shown = format!("{:?}", Credentials::new("AKID", "hunter2"));
        assert!(
            shown.contains("AKID") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn text_form_names_key_secret_and_account() {
        let parsed: Credentials = "AKID:a/b+c:111122223333".parse().unwrap();
        assert_eq!(
            parsed,
            Credentials::new("AKID", "a/b+c").in_account("111122223333")
        );
        assert_eq!(
            "AKID:s".parse::<Credentials>().unwrap().account(),
            DEFAULT_ACCOUNT
        );
        for bad in ["", "AKID", "AKID:", ":s", "a:b:c:d"] {
            assert!(bad.parse::<Credentials>().is_err(), "{bad}");
        }
    }
}
