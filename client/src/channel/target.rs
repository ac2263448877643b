//! An endpoint, parsed.

use std::net::IpAddr;

use http::uri::{Authority, PathAndQuery, Scheme, Uri};

/// Where the gateway is, as the user names it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// The host without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
}

/// What is wrong with an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// It is not `http://host:port` or `https://host:port`.
    #[error("it must be http://HOST:PORT or https://HOST:PORT")]
    Syntax,
    /// It has a path or a query, which gRPC has no use for.
    #[error("it must end after the port, without a path or query")]
    Path,
    /// It has a user name or a password.
    #[error("it must not hold a user name or password; use a bearer token or a client certificate")]
    Credentials,
}

impl Target {
    pub(crate) fn parse(endpoint: &str) -> Result<Self, InvalidEndpoint> {
        let uri: Uri = endpoint.parse().map_err(|_| InvalidEndpoint::Syntax)?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(InvalidEndpoint::Syntax);
        };
        let usual_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(InvalidEndpoint::Syntax),
        };
        if authority.as_str().contains('@') {
            return Err(InvalidEndpoint::Credentials);
        }
        if parts.path_and_query.is_some_and(|path| path != "/") {
            return Err(InvalidEndpoint::Path);
        }
        let host = authority.host();
        let host = host.strip_prefix('[').unwrap_or(host);
        let host = host.strip_suffix(']').unwrap_or(host).to_owned();
        if host.is_empty() {
            return Err(InvalidEndpoint::Syntax);
        }
        Ok(Self {
            port: authority.port_u16().unwrap_or(usual_port),
            scheme,
            authority,
            host,
        })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The address, if the host is one.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The same resource at this endpoint.
    pub(super) fn uri(&self, uri: Uri) -> Uri {
        let mut parts = uri.into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts
            .path_and_query
            .get_or_insert(PathAndQuery::from_static("/"));
        // All three parts are there, and each is valid.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        for (endpoint, host, port, tls) in [
            ("http://gateway:50051", "gateway", 50051, false),
            ("https://gateway/", "gateway", 443, true),
            ("http://[::1]:1", "::1", 1, false),
            ("http://127.0.0.1", "127.0.0.1", 80, false),
        ] {
            let target = Target::parse(endpoint).unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port));
            assert_eq!(target.is_tls(), tls);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_the_reason() {
        for (endpoint, problem) in [
            ("", InvalidEndpoint::Syntax),
            ("gateway:50051", InvalidEndpoint::Syntax),
            ("ftp://gateway", InvalidEndpoint::Syntax),
            ("http://:50051", InvalidEndpoint::Syntax),
            ("http://gateway/path", InvalidEndpoint::Path),
            ("http://gateway/?query", InvalidEndpoint::Path),
            ("http://user:secret@gateway", InvalidEndpoint::Credentials),
        ] {
            assert_eq!(Target::parse(endpoint).unwrap_err(), problem, "{endpoint}");
        }
    }
}
