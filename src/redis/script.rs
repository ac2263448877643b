//! A script that runs on the server.

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, ToRedisArgs};

/// A script, called by its digest where the server knows it.
///
/// To a server that does not, it is sent as a whole with the call itself, so that
/// it reaches the one node of a cluster that is asked: loading it would have to
/// succeed on every node, also on those that are gone.
#[derive(Debug)]
pub(super) struct Script {
    code: &'static str,
    digest: String,
}

impl Script {
    pub(super) fn new(code: &'static str) -> Self {
        Self {
            code,
            digest: redis::Script::new(code).get_hash().to_owned(),
        }
    }

    /// Whether the server has to be sent the whole script.
    pub(super) fn is_unknown(error: &RedisError) -> bool {
        error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
    }

    /// The call for a server that knows the script.
    pub(super) fn known<A: ToRedisArgs>(&self, keys: &[String], arguments: &[A]) -> Cmd {
        call("EVALSHA", &self.digest, keys, arguments)
    }

    /// The call for any server.
    pub(super) fn whole<A: ToRedisArgs>(&self, keys: &[String], arguments: &[A]) -> Cmd {
        call("EVAL", self.code, keys, arguments)
    }
}

fn call<A: ToRedisArgs>(name: &str, script: &str, keys: &[String], arguments: &[A]) -> Cmd {
    let mut call = redis::cmd(name);
    call.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    call
}
