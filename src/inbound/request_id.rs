//! Names every call, so that a line of the log can be found again: the id that
//! the caller sent as `x-request-id` if it is one, else a new one.

use http::{Extensions, HeaderValue, Request};
use tower_http::request_id::RequestId;

/// The metadata that carries the id.
const REQUEST_ID: &str = "x-request-id";

/// The longest id of a caller's that is kept, in bytes: room for two UUIDs.
const MAX_LENGTH: usize = 128;

/// Removes an id that is too long for the log or would garble it.
///
/// Sits outside the layer that gives an id to calls that have none.
pub(crate) fn drop_unfit<B>(mut request: Request<B>) -> Request<B> {
    let fits = |id: &HeaderValue| {
        (1..=MAX_LENGTH).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if request
        .headers()
        .get(REQUEST_ID)
        .is_some_and(|id| !fits(id))
    {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// The id of the call that `extensions` belong to.
pub(crate) fn request_id(extensions: &Extensions) -> Option<String> {
    let id = extensions.get::<RequestId>()?.header_value();
    id.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_fit_the_log_are_kept() {
        let longest = "x".repeat(MAX_LENGTH);
        let too_long = "x".repeat(MAX_LENGTH + 1);
        let cases = [
            (&*longest, true),
            ("a-1", true),
            (&*too_long, false),
            ("two words", false),
            ("", false),
        ];
        for (id, kept) in cases {
            let request = Request::builder().header(REQUEST_ID, id).body(()).unwrap();
            assert_eq!(
                drop_unfit(request).headers().contains_key(REQUEST_ID),
                kept,
                "{id:?}"
            );
        }
    }
}
