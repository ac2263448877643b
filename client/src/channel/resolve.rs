//! From a host's name to its addresses.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// The addresses, once they are known.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Finds the addresses of an endpoint. The client asks again at intervals, and
/// when a connection fails; an empty answer counts as a failure.
///
/// A closure from host and port to addresses is one, too:
///
/// ```
/// use face_liveness_client::Client;
///
/// # fn main() -> Result<(), face_liveness_client::BuildError> {
/// let client = Client::builder()
///     .endpoint("http://gateway:50051")
///     .resolver(|_host: &str, port: u16| Ok(vec![([127, 0, 0, 1], port).into()]))
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, each with `port`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

impl<F> Resolve for F
where
    F: Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
{
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        let addresses = self(host, port);
        Box::pin(async move { addresses })
    }
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dns;

impl Resolve for Dns {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
