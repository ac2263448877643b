//! The sessions, until three minutes after they were made.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::quota::Scope;

/// How long a session can be used and read, and its token finds it again: AWS's three minutes.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(180);

/// Sessions kept at once. Beyond it the oldest are forgotten early, so that memory stays bounded
/// when the quotas are off.
pub const MAX_SESSIONS: usize = 200_000;

/// Every session of every account and region.
///
/// A token that is used again with other parameters gets the first session: AWS documents "the
/// same token, the same session" and says nothing about other parameters.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_id: HashMap<String, Session>,
    by_token: HashMap<(Scope, String), String>,
    oldest_first: VecDeque<String>,
}

#[derive(Debug)]
struct Session {
    scope: Scope,
    token: Option<String>,
    expires: Duration,
}

impl Sessions {
    /// The live session that this token made.
    pub(crate) fn of_token(&mut self, scope: &Scope, token: &str, now: Duration) -> Option<String> {
        self.expire(now);
        self.by_token
            .get(&(scope.clone(), token.to_owned()))
            .cloned()
    }

    /// Makes a session and returns its id.
    pub(crate) fn create(&mut self, scope: &Scope, token: Option<&str>, now: Duration) -> String {
        self.expire(now);
        while self.by_id.len() >= MAX_SESSIONS {
            self.forget_oldest();
        }
        let id = uuid::Uuid::new_v4().to_string();
        if let Some(token) = token {
            self.by_token
                .insert((scope.clone(), token.to_owned()), id.clone());
        }
        let session = Session {
            scope: scope.clone(),
            token: token.map(str::to_owned),
            expires: now.saturating_add(SESSION_LIFETIME),
        };
        self.by_id.insert(id.clone(), session);
        self.oldest_first.push_back(id.clone());
        id
    }

    /// Whether the session lives, in this account and region.
    pub(crate) fn contains(&mut self, scope: &Scope, id: &str, now: Duration) -> bool {
        self.expire(now);
        self.by_id
            .get(id)
            .is_some_and(|session| session.scope == *scope)
    }

    fn expire(&mut self, now: Duration) {
        while self.oldest().is_some_and(|session| session.expires <= now) {
            self.forget_oldest();
        }
    }

    fn oldest(&self) -> Option<&Session> {
        self.oldest_first.front().and_then(|id| self.by_id.get(id))
    }

    fn forget_oldest(&mut self) {
        let Some(id) = self.oldest_first.pop_front() else {
            return;
        };
        if let Some(session) = self.by_id.remove(&id)
            && let Some(token) = session.token
        {
            self.by_token.remove(&(session.scope, token));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope {
            account: "1".into(),
            region: "us-east-1".into(),
        }
    }

    #[test]
    fn a_session_lives_for_three_minutes_and_not_longer() {
        let mut sessions = Sessions::default();
        let id = sessions.create(&scope(), Some("t"), Duration::ZERO);
        let last = SESSION_LIFETIME - Duration::from_nanos(1);
        assert!(sessions.contains(&scope(), &id, last));
        assert_eq!(sessions.of_token(&scope(), "t", last), Some(id.clone()));
        assert!(!sessions.contains(&scope(), &id, SESSION_LIFETIME));
        assert_eq!(sessions.of_token(&scope(), "t", SESSION_LIFETIME), None);
    }

    #[test]
    fn forgetting_leaves_nothing_behind() {
        let mut sessions = Sessions::default();
        for n in 0..100 {
            sessions.create(&scope(), Some(&n.to_string()), Duration::ZERO);
        }
        assert!(!sessions.contains(&scope(), "x", SESSION_LIFETIME));
        assert!(sessions.by_id.is_empty() && sessions.by_token.is_empty());
        assert!(sessions.oldest_first.is_empty());
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let mut sessions = Sessions::default();
        let first = sessions.create(&scope(), None, Duration::ZERO);
        for _ in 0..MAX_SESSIONS {
            sessions.create(&scope(), None, Duration::ZERO);
        }
        assert_eq!(sessions.by_id.len(), MAX_SESSIONS);
        assert!(!sessions.contains(&scope(), &first, Duration::ZERO));
    }
}
