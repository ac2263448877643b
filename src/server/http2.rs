//! HTTP/2 within bounds. Each is set, so that a new default of hyper's changes
//! none of them.

use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;

use super::streams::Streams;
use crate::config::ServerSettings;

/// What of one request's body is kept before it is read: a whole message. hyper's
/// own default is 1 MiB.
const STREAM_WINDOW: u32 = 64 * 1024;

/// The same of all requests on a connection. They are read as they come, so this
/// is full only for a moment; hyper's own default is 1 MiB.
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// The least that the protocol knows, and hyper's own default: a message is a few
/// frames at most.
const MAX_FRAME_SIZE: u32 = 16 * 1024;

/// What of one answer waits to be sent. Answers are below 1 KiB, but for those of
/// reflection; hyper's own default is 400 KiB.
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// The protocol's and hyper's own default: what a peer can have kept of headers
/// that it may repeat.
const HEADER_TABLE_SIZE: u32 = 4096;

/// Streams that were reset before they were looked at: a rapid reset
/// (CVE-2023-44487). Those that are read at once are looked at together, so that a
/// good client can come to a few; above, the connection ends. h2's own default.
const MAX_PENDING_ACCEPT_RESETS: usize = 20;

/// Streams that broke the protocol or were beyond those that may be open, in the
/// life of a connection; above, it ends. A good client has none. hyper's own
/// default is 1024.
const MAX_ERROR_RESETS: usize = 256;

/// HTTP/2 within the bounds of `settings`.
pub(super) fn http2(settings: &ServerSettings, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout)
        .max_concurrent_streams(settings.max_concurrent_streams)
        .max_header_list_size(settings.max_header_bytes)
        .max_pending_accept_reset_streams(MAX_PENDING_ACCEPT_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME_SIZE)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .header_table_size(HEADER_TABLE_SIZE)
        .adaptive_window(false);
    builder
}
