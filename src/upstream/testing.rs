//! What the tests of the layers share.

use std::num::NonZeroU32;
use std::time::SystemTime;

use tokio::time::Instant;
use uuid::Uuid;

use super::{FirstSent, Request};
use crate::caller::Caller;
use crate::region::Region;
use crate::session::{Session, SessionId, SessionRequest, Token};

/// Asks for nothing in particular.
pub(super) fn session_request() -> SessionRequest {
    SessionRequest {
        region: Region::parse("us-east-1").unwrap(),
        kms_key_id: None,
        output: None,
        audit_images_limit: None,
        challenges: Vec::new(),
        token: None,
    }
}

/// A request under a token of its own.
pub(super) fn request(deadline: Instant) -> Request {
    Request {
        session: session_request(),
        caller: Caller::Anonymous,
        weight: NonZeroU32::MIN,
        token: Token::random(),
        deadline,
        first_sent: FirstSent::default(),
    }
}

/// A session like no other.
pub(super) fn session() -> Session {
    Session {
        id: SessionId::parse(Uuid::new_v4().to_string()).unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        create_time: SystemTime::now(),
        request_id: None,
    }
}
