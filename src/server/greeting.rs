//! The first bytes of a connection: an HTTP/2 client begins with a fixed
//! preface. Who sends something else is told so in words it can show, and who
//! sends nothing is not waited for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// The preface of every HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first bytes of a TLS handshake record.
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];

/// What the connection runs over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Transport {
    Plaintext,
    Tls,
}

/// The answer to a client that speaks HTTP/1.
fn http1_answer(transport: Transport) -> String {
    let text = match transport {
        Transport::Plaintext => {
            "this port speaks gRPC over HTTP/2 without TLS, for example grpcurl -plaintext"
        }
        Transport::Tls => "this port speaks gRPC over HTTP/2 with TLS, for example grpcurl",
    };
    format!(
        "HTTP/1.1 505 HTTP Version Not Supported\r\n\
         content-type: text/plain\r\n\
         connection: close\r\n\
         content-length: {}\r\n\
         \r\n\
         {text}",
        text.len()
    )
}

/// Why a connection was not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the client said nothing that begins HTTP/2 in {0:?}")]
    Silent(Duration),
    #[error("the client speaks TLS, this port does not: call it in plaintext")]
    Tls,
    #[error("the client speaks HTTP/1, this port only HTTP/2")]
    Http1,
    #[error("the client does not speak HTTP/2")]
    Garbage,
    #[error("the client left before it said anything")]
    Left,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the preface and gives back the stream as if nothing had been read.
///
/// # Errors
/// When the client does not begin with it within `limit`. A client that speaks
/// HTTP/1 has been told why.
pub(super) async fn greet<T>(
    mut stream: T,
    transport: Transport,
    limit: Duration,
) -> Result<Greeted<T>, Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(limit, read_preface(&mut stream)).await {
        Err(_elapsed) => Err(Error::Silent(limit)),
        Ok(Ok(())) => Ok(Greeted {
            stream,
            replayed: 0,
        }),
        Ok(Err(Error::Http1)) => {
            // The client may have gone; then nobody misses the answer.
            let _ = tokio::time::timeout(limit, answer_http1(&mut stream, transport)).await;
            Err(Error::Http1)
        }
        Ok(Err(error)) => Err(error),
    }
}

async fn read_preface<T: AsyncRead + Unpin>(stream: &mut T) -> Result<(), Error> {
    let mut bytes = [0; PREFACE.len()];
    let mut filled = 0;
    while filled < PREFACE.len() {
        let read = stream.read(&mut bytes[filled..]).await?;
        filled += read;
        let said = &bytes[..filled];
        if read == 0 {
            return Err(if filled == 0 {
                Error::Left
            } else {
                Error::Garbage
            });
        }
        if !PREFACE.starts_with(said) && filled >= TLS_HANDSHAKE.len() {
            return Err(stranger(said));
        }
    }
    Ok(())
}

/// What a client speaks that does not speak HTTP/2.
fn stranger(said: &[u8]) -> Error {
    if said.starts_with(TLS_HANDSHAKE) {
        Error::Tls
    } else if said.iter().take_while(|b| b.is_ascii_uppercase()).count() >= 2 {
        Error::Http1
    } else {
        Error::Garbage
    }
}

async fn answer_http1<T: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut T,
    transport: Transport,
) -> io::Result<()> {
    let answer = http1_answer(transport);
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Closing while the rest of the request is unread would reset the
    // connection and take the answer with it.
    let mut rest = tokio::io::sink();
    tokio::io::copy(&mut stream.take(64 * 1024), &mut rest)
        .await
        .map(drop)
}

pin_project! {
    /// A stream that says the preface once more and then goes on.
    #[derive(Debug)]
    pub(super) struct Greeted<T> {
        #[pin]
        stream: T,
        replayed: usize,
    }
}

impl<T: AsyncRead> AsyncRead for Greeted<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let rest = PREFACE.get(*this.replayed..).unwrap_or_default();
        if rest.is_empty() {
            return this.stream.poll_read(cx, buffer);
        }
        let (now, _) = rest.split_at(rest.len().min(buffer.remaining()));
        buffer.put_slice(now);
        *this.replayed += now.len();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite> AsyncWrite for Greeted<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// Greets a client that says `said`, and tells what it was answered.
    async fn greeted(said: &[u8]) -> (Result<Vec<u8>, Error>, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(1024);
        client.write_all(said).await.unwrap();
        client.shutdown().await.unwrap();
        let seen = match greet(server, Transport::Plaintext, LIMIT).await {
            Err(error) => Err(error),
            Ok(mut stream) => {
                let mut seen = Vec::new();
                stream.read_to_end(&mut seen).await.unwrap();
                Ok(seen)
            }
        };
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        (seen, answer)
    }

    #[tokio::test]
    async fn http2_goes_on_as_if_nothing_had_been_read() {
        let said = [PREFACE.as_slice(), b"frames"].concat();
        assert_eq!(greeted(&said).await.0.unwrap(), said);
    }

    #[tokio::test]
    async fn http1_is_told_what_this_port_speaks() {
        let (seen, answer) = greeted(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(matches!(seen, Err(Error::Http1)));
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 505 "), "{head}");
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn http1_methods_that_begin_like_the_preface_are_told_apart() {
        assert!(matches!(
            greeted(b"PROPFIND / HTTP/1.1\r\n").await.0,
            Err(Error::Http1)
        ));
    }

    #[tokio::test]
    async fn tls_garbage_and_nothing_are_told_apart() {
        assert!(matches!(
            greeted(&[0x16, 0x03, 0x01, 0x02]).await.0,
            Err(Error::Tls)
        ));
        assert!(matches!(
            greeted(&[0, 1, 2, 3]).await.0,
            Err(Error::Garbage)
        ));
        assert!(matches!(greeted(b"").await.0, Err(Error::Left)));
        assert!(matches!(greeted(b"PRI * HT").await.0, Err(Error::Garbage)));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_not_waited_for() {
        let (_client, server) = tokio::io::duplex(1024);
        let greeted = greet(server, Transport::Plaintext, LIMIT).await;
        assert!(matches!(greeted, Err(Error::Silent(_))));
    }
}
