//! A peer that sends any frames it likes, and minds no rule of HTTP/2.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::PATIENCE;
use crate::raw::CREATE;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// An empty message in gRPC's framing.
pub(crate) const MESSAGE: &[u8] = &[0; 5];

/// A frame as it travels.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// SETTINGS with this one.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    [id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat()
}

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
pub(crate) const INITIAL_WINDOW: u16 = 4;

/// RST_STREAM with CANCEL.
pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

/// A string of HPACK.
fn string(text: &str) -> Vec<u8> {
    const SHORT: usize = 0x7f;
    let mut string = Vec::new();
    if text.len() < SHORT {
        string.push(u8::try_from(text.len()).unwrap());
    } else {
        string.push(0x7f);
        let mut rest = text.len() - SHORT;
        while rest >= 0x80 {
            string.push(u8::try_from(rest % 0x80).unwrap() | 0x80);
            rest /= 0x80;
        }
        string.push(u8::try_from(rest).unwrap());
    }
    string.extend(text.as_bytes());
    string
}

/// A header that HPACK does not remember.
pub(crate) fn header(name: &str, value: &str) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

/// A header that HPACK remembers.
pub(crate) fn remembered(name: &str, value: &str) -> Vec<u8> {
    [vec![0x40], string(name), string(value)].concat()
}

/// The headers of a call.
pub(crate) fn call(path: &str) -> Vec<u8> {
    [
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", path),
        header(":authority", "localhost"),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    ]
    .concat()
}

/// The HEADERS of a call that makes a session.
pub(crate) fn begin(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &call(CREATE))
}

/// What is left to send of a call after its headers.
pub(crate) fn finish(stream: u32) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, MESSAGE)
}

/// A frame that was received.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The last four bytes as a number: the code of RST_STREAM.
    pub(crate) fn code(&self) -> u32 {
        let (_, code) = self.payload.split_last_chunk().unwrap();
        u32::from_be_bytes(*code)
    }

    /// The last stream and the code of GOAWAY.
    pub(crate) fn goaway(&self) -> (u32, u32) {
        let number = |at: usize| {
            let bytes = self.payload[at..at + 4].try_into().unwrap();
            u32::from_be_bytes(bytes)
        };
        (number(0), number(4))
    }

    pub(crate) fn is_ack(&self) -> bool {
        self.flags & ACK != 0
    }
}

/// A connection that has sent the preface.
pub(crate) struct Peer {
    reads: OwnedReadHalf,
    writes: OwnedWriteHalf,
}

impl From<TcpStream> for Peer {
    fn from(stream: TcpStream) -> Self {
        let (reads, writes) = stream.into_split();
        Self { reads, writes }
    }
}

impl Peer {
    /// Connects, and sends the preface and empty SETTINGS.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::with_settings(address, &[]).await
    }

    /// Connects, and sends the preface and these SETTINGS.
    pub(crate) async fn with_settings(address: SocketAddr, settings: &[u8]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, settings).await
    }

    /// Connects with as small a buffer for what it is sent as there is.
    pub(crate) async fn deaf(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        Self::over(socket.connect(address).await.unwrap(), &[]).await
    }

    async fn over(stream: TcpStream, settings: &[u8]) -> Self {
        stream.set_nodelay(true).unwrap();
        let mut peer = Self::from(stream);
        peer.send(PREFACE).await.unwrap();
        peer.send(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
        peer
    }

    /// Sends, unless the gateway has hung up.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let sent = self.writes.write_all(bytes);
        timeout(PATIENCE, sent).await.unwrap()
    }

    /// The next frame; `None` when the gateway has hung up.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        timeout(PATIENCE, read(&mut self.reads)).await.unwrap()
    }

    /// Reads on up to a frame of this kind that is no acknowledgement.
    pub(crate) async fn until(&mut self, kind: u8) -> Frame {
        loop {
            let next = self.next().await;
            let next = next.unwrap_or_else(|| panic!("ended before a frame {kind}"));
            let acknowledges = matches!(next.kind, PING | SETTINGS) && next.is_ack();
            if next.kind == kind && !acknowledges {
                return next;
            }
        }
    }

    /// Answers a PING.
    pub(crate) async fn answer(&mut self, ping: &Frame) {
        let answer = frame(PING, ACK, 0, &ping.payload);
        self.send(&answer).await.unwrap();
    }

    /// Reads to the end; tells the codes of all GOAWAYs.
    pub(crate) async fn until_closed(&mut self) -> Vec<u32> {
        let mut codes = Vec::new();
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                codes.push(frame.goaway().1);
            }
        }
        codes
    }

    /// Sends `piece` over and over and minds no answer; tells how often before the
    /// gateway hung up, `most` times at most.
    pub(crate) async fn flood(self, piece: &[u8], most: usize) -> usize {
        /// A peer that floods does not send each by itself.
        const BATCH: usize = 100;
        let Self {
            mut reads,
            mut writes,
        } = self;
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 64 * 1024];
            while let Ok(1..) = reads.read(&mut buffer).await {}
        });
        let pieces = piece.repeat(BATCH);
        let mut sent = 0;
        while sent < most {
            let written = timeout(PATIENCE, writes.write_all(&pieces)).await;
            if written.unwrap().is_err() {
                break;
            }
            sent += BATCH;
        }
        drop(writes);
        timeout(PATIENCE, reader).await.unwrap().unwrap();
        sent
    }
}

async fn read(reads: &mut OwnedReadHalf) -> Option<Frame> {
    let mut head = [0; 9];
    reads.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    reads.read_exact(&mut payload).await.ok()?;
    Some(Frame {
        kind,
        flags,
        stream: u32::from_be_bytes(stream),
        payload,
    })
}
