//! Whom a client's certificate names.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::caller::Caller;

/// The caller that a certificate names: its one URI, so that a SPIFFE id is one,
/// else its first DNS name.
///
/// Several URIs name nobody: SPIFFE forbids them, because each could be meant.
/// What the certificate is worth must have been verified before.
#[must_use]
pub fn subject(certificate: &CertificateDer<'_>) -> Option<Caller> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let names = &names.value.general_names;
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let dns = || {
        names.iter().find_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        })
    };
    let name = match (uris.next(), uris.next()) {
        (Some(uri), None) => Some(uri),
        (Some(_), Some(_)) => None,
        (None, _) => dns(),
    };
    Caller::named(name?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn named(sans: &[SanType]) -> Option<String> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = sans.to_vec();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        subject(certificate.der()).map(|caller| caller.to_string())
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn one_uri_names_the_caller_else_the_first_dns_name() {
        let spiffe = "spiffe://example.org/ns/pay/sa/web";
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(named(&[dns("a.test"), uri(spiffe)]), name(spiffe));
        assert_eq!(named(&[dns("a.test"), dns("b.test")]), name("a.test"));
    }

    #[test]
    fn what_is_ambiguous_or_no_name_names_nobody() {
        assert_eq!(
            named(&[uri("spiffe://a"), uri("spiffe://b"), dns("c.test")]),
            None
        );
        assert_eq!(named(&[uri(&"x".repeat(257))]), None);
        assert_eq!(named(&[uri("two words")]), None);
        assert_eq!(named(&[SanType::IpAddress([127, 0, 0, 1].into())]), None);
        assert_eq!(named(&[]), None);
        assert_eq!(subject(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
