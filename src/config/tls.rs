//! From `[tls]` to how connections are secured.

use super::check::Check;
use super::settings::{ClientAuthSetting, Settings};
use crate::tls::{self, ClientAuth, Files, Material};

impl Check<'_> {
    /// `None` without TLS, or with mistakes in it.
    pub(super) fn tls(&mut self, settings: &Settings) -> Option<tls::Settings> {
        let own = &settings.tls;
        let (certificate, key) = match (&own.certificate, &own.key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (None, None) if own.client_ca.is_none() => return None,
            (certificate, key) => {
                let missing = [("tls.certificate", certificate), ("tls.key", key)];
                for (name, _) in missing.iter().filter(|(_, set)| set.is_none()) {
                    self.mistake(name, "is missing: TLS needs a certificate and its key");
                }
                return None;
            }
        };
        let auth = match own.client_auth {
            ClientAuthSetting::Required => ClientAuth::Required,
            ClientAuthSetting::Optional => ClientAuth::Optional,
        };
        let clients = own.client_ca.clone().map(|path| (path, auth));
        let files = Files {
            certificate,
            key,
            clients,
        };
        let material = Material::read(&files)
            .map_err(|problem| self.mistake(&format!("tls.{}", problem.key), problem.to_string()))
            .ok()?;
        Some(tls::Settings {
            files,
            material,
            reload_interval: own.reload_interval,
            max_handshakes: own.max_handshakes,
            handshake_timeout: settings.server.handshake_timeout,
        })
    }
}
