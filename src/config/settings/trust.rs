//! What can be set of trust: who calls, how that is proved, and what each may ask
//! for.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::texts::Texts;

/// How connections to the gateway are secured (`[tls]`); without a certificate
/// they are not.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TlsSettings {
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) client_auth: ClientAuthSetting,
    #[serde(with = "humantime_serde")]
    pub(crate) reload_interval: Duration,
    pub(crate) max_handshakes: usize,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            client_auth: ClientAuthSetting::Required,
            // Reading three small files costs nothing; certificates are renewed
            // hours before they expire.
            reload_interval: Duration::from_secs(10),
            // A tenth of the connections; each costs some 50 KiB meanwhile.
            max_handshakes: 1024,
        }
    }
}

/// How connections to the admin port are secured (`[admin]`), with the certificate of
/// `[tls]`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdminSettings {
    pub(crate) tls: AdminTls,
    pub(crate) client_auth: AdminClientAuth,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            // Loopback is the machine's own; what goes further can be read and changed.
            tls: AdminTls::Auto,
            // Nothing else proves anything on this port.
            client_auth: AdminClientAuth::Required,
        }
    }
}

/// When the admin port speaks TLS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AdminTls {
    /// Where it leaves loopback.
    Auto,
    On,
    Off,
}

/// Whether its clients need a certificate where there are authorities for them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AdminClientAuth {
    Required,
    Off,
}

/// What a client without a certificate gets.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientAuthSetting {
    Required,
    Optional,
}

/// How callers prove who they are, besides client certificates and `[[tokens]]`
/// (`[auth]`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthSettings {
    pub(crate) reflection: Reflection,
    pub(crate) jwt: JwtSettings,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            // The schema is public; it tells nothing about callers.
            reflection: Reflection::Open,
            jwt: JwtSettings::default(),
        }
    }
}

/// Who may ask for the schema.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reflection {
    /// Anybody.
    Open,
    /// Whoever may call.
    Authenticated,
    /// Nobody.
    Off,
}

/// Which JSON Web Tokens are accepted (`[auth.jwt]`); none without an issuer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct JwtSettings {
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<Texts>,
    pub(crate) jwks: Option<String>,
    pub(crate) algorithms: Option<Texts>,
    pub(crate) claim: String,
    pub(crate) prefix: String,
    #[serde(with = "humantime_serde")]
    pub(crate) refresh_interval: Duration,
    #[serde(with = "humantime_serde")]
    pub(crate) max_stale: Duration,
    pub(crate) ca_bundle: Option<PathBuf>,
}

impl Default for JwtSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            jwks: None,
            algorithms: None,
            claim: "sub".to_owned(),
            prefix: String::new(),
            // A key that is withdrawn is believed no longer than this…
            refresh_interval: Duration::from_secs(5 * 60),
            // …and so much longer if the issuer is out of reach. Tokens seldom live longer
            // themselves: one that is gone for an hour has hardly any out that are good.
            max_stale: Duration::from_secs(60 * 60),
            ca_bundle: None,
        }
    }
}

/// A static token, by its hash (`[[tokens]]`).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TokenSettings {
    pub(crate) caller: String,
    pub(crate) sha256: String,
}

/// One of the callers with a rule of their own (`[[callers]]`); what it leaves
/// out is as in `[default_caller]`, except that it is admitted.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CallerSettings {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) admitted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) burst: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<u32>,
    pub(crate) policy: PolicySettings,
}

/// How a caller is treated without an entry of its own (`[default_caller]`).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DefaultCallerSettings {
    /// Whether there are callers without an entry at all.
    pub(crate) admitted: bool,
    /// Calls per second; 0 switches the limit off.
    pub(crate) rate: f64,
    /// Calls at once after a pause.
    pub(crate) burst: u32,
    /// Turns in each round of the queue for the account's quota.
    pub(crate) weight: u32,
    pub(crate) policy: PolicySettings,
}

impl Default for DefaultCallerSettings {
    fn default() -> Self {
        // No limit of its own: the account's quota bounds it, and the queue's
        // turns keep it from crowding out the others.
        Self {
            admitted: true,
            rate: 0.0,
            burst: 1,
            weight: 1,
            policy: PolicySettings::default(),
        }
    }
}

/// What a caller may ask for (`policy`); what is left out is not restricted.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PolicySettings {
    pub(crate) own_output: Option<bool>,
    pub(crate) outputs: Option<Texts>,
    pub(crate) kms_keys: Option<Texts>,
    pub(crate) regions: Option<Texts>,
    pub(crate) max_audit_images: Option<u8>,
    pub(crate) challenges: Option<Texts>,
    pub(crate) defaults: DefaultsSettings,
}

/// What the gateway fills in where a request says nothing (`policy.defaults`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DefaultsSettings {
    pub(crate) bucket: Option<String>,
    pub(crate) key_prefix: Option<String>,
    pub(crate) kms_key: Option<String>,
    pub(crate) audit_images: Option<u8>,
    pub(crate) challenges: Option<Texts>,
}

impl PolicySettings {
    /// The same without what is secret.
    pub(crate) fn redacted(mut self) -> Self {
        let hidden = || REDACTED.to_owned();
        if let Some(keys) = &mut self.kms_keys {
            keys.0.iter_mut().for_each(|key| *key = hidden());
        }
        if let Some(key) = &mut self.defaults.kms_key {
            *key = hidden();
        }
        self
    }
}

/// Stands for what must not be seen.
pub(super) const REDACTED: &str = "[redacted]";
