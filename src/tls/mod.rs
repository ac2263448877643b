//! TLS for what listens: TLS 1.2 and 1.3, HTTP/2 by ALPN, certificates that can
//! be replaced while it runs, and clients that must show one if that is wanted.
//!
//! | module | what is there |
//! |---|---|
//! | [`material`] | certificate, key and client authorities, from files |
//! | [`acceptor`] | handshakes, bounded in number and time; replacing the material |
//! | [`mod@subject`] | whom a client's certificate names |
//! | [`mod@unverified`] | clients that believe any server |

mod acceptor;
mod material;
mod subject;
mod unverified;

pub use acceptor::{Acceptor, Error, Refreshed};
pub use material::{ClientAuth, Files, Material, Problem, Purpose};
pub use subject::subject;
pub(crate) use unverified::unverified;

use std::time::Duration;

/// How connections are secured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the material comes from.
    pub files: Files,
    /// What it was when it was last read.
    pub material: Material,
    /// How often the files are looked at for new material.
    pub reload_interval: Duration,
    /// Handshakes at once; more wait.
    pub max_handshakes: usize,
    /// How long one may take, its wait included.
    pub handshake_timeout: Duration,
}
