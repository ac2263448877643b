//! From `[tls]` to how connections are secured.

use super::check::Check;
use super::settings::{AdminClientAuth, AdminTls, ClientAuthSetting, Settings};
use crate::tls::{self, ClientAuth, Files, Material, Purpose};

impl Check<'_> {
    /// How the admin port is secured; `None`: not at all.
    pub(super) fn admin_tls(&mut self, settings: &Settings) -> Option<Purpose> {
        let address = settings.admin_listen.address()?;
        let remote = !address.ip().is_loopback();
        // Whether the files are any good is told elsewhere.
        let has_tls = settings.tls.certificate.is_some() || settings.tls.key.is_some();
        let wanted = match settings.admin.tls {
            AdminTls::Auto => remote,
            AdminTls::On => true,
            AdminTls::Off => false,
        };
        if wanted && has_tls {
            let proof = settings.admin.client_auth == AdminClientAuth::Required;
            return Some(Purpose::Admin { proof });
        }
        let unclear = self.is_incomplete() || self.is_mistaken("admin_listen");
        match settings.admin.tls {
            AdminTls::On if !unclear => {
                self.mistake("admin.tls", "needs tls.certificate and tls.key");
            }
            AdminTls::Auto if remote && !settings.insecure_no_auth && !unclear => {
                self.mistake("admin_listen", format!(
                    "{address} is reached from the network, in plaintext and by anybody: set tls.certificate, \
                     listen on 127.0.0.1, or accept that with admin.tls = \"off\""
                ));
            }
            AdminTls::Auto | AdminTls::On | AdminTls::Off => {}
        }
        None
    }

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
