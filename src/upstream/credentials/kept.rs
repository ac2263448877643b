//! Credentials that are renewed before they expire, so that no call waits for new
//! ones: those that did would have their permits already, and reach AWS all at once.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::causes::Causes;

/// How long before they expire, if they last long enough. AWS's own services have new
/// ones by then.
const RENEWED_BEFORE: Duration = Duration::from_secs(5 * 60);

/// The least time between two tries.
const LEAST_PAUSE: Duration = Duration::from_secs(5);

/// How long a try may take.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Keeps the credentials of another provider, and renews them, if they say when they
/// expire. Others are asked for anew each time, because files may change.
pub(in super::super) struct Kept<P> {
    shared: Arc<Shared<P>>,
    _renewal: AbortOnDropHandle<()>,
}

struct Shared<P> {
    provider: P,
    latest: watch::Sender<Option<Credentials>>,
}

impl<P: ProvideCredentials + 'static> Kept<P> {
    /// Renews on the present runtime what `provider` gives; begins when somebody asks
    /// for the first time.
    pub(in super::super) fn new(provider: P) -> Self {
        let shared = Arc::new(Shared {
            provider,
            latest: watch::Sender::new(None),
        });
        let renewal = tokio::spawn(Arc::clone(&shared).renew());
        Self {
            shared,
            _renewal: AbortOnDropHandle::new(renewal),
        }
    }
}

impl<P: ProvideCredentials> Shared<P> {
    async fn current(&self) -> Result<Credentials, CredentialsError> {
        let kept = self.latest.borrow().clone();
        match kept.filter(|kept| !remaining(kept).is_zero()) {
            Some(kept) => Ok(kept),
            None => self.load().await,
        }
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let loaded = self.provider.provide_credentials().await?;
        self.latest.send_if_modified(|latest| {
            let kept = latest.as_ref().and_then(Credentials::expiry);
            let lasts_longer = loaded.expiry() > kept;
            if lasts_longer {
                *latest = Some(loaded.clone());
            }
            lasts_longer
        });
        Ok(loaded)
    }

    /// For ever.
    async fn renew(self: Arc<Self>) {
        let mut latest = self.latest.subscribe();
        loop {
            let pause = match latest.wait_for(Option::is_some).await {
                Ok(kept) => kept.as_ref().map_or(LEAST_PAUSE, pause),
                Err(_closed) => return,
            };
            tokio::time::sleep(pause).await;
            let problem = match timeout(RENEWAL_TIMEOUT, self.load()).await {
                Ok(Ok(_)) => continue,
                Ok(Err(error)) => Causes(&error).to_string(),
                Err(_elapsed) => format!("no answer in {RENEWAL_TIMEOUT:?}"),
            };
            let left = latest.borrow().as_ref().map(remaining);
            tracing::warn!(
                "cannot renew the credentials for AWS, those at hand last for {:.0?} more: {problem}",
                left.unwrap_or_default()
            );
        }
    }
}

/// How long the credentials are good.
fn remaining(credentials: &Credentials) -> Duration {
    let expiry = credentials.expiry();
    let left = expiry.and_then(|expiry| expiry.duration_since(SystemTime::now()).ok());
    left.unwrap_or_default()
}

/// Until they are to be renewed, or a try to do so repeated.
fn pause(credentials: &Credentials) -> Duration {
    let left = remaining(credentials);
    let pause = left.saturating_sub(RENEWED_BEFORE).max(left / 2);
    // Who needs credentials that have expired asks itself.
    let least = if left.is_zero() {
        RENEWED_BEFORE
    } else {
        LEAST_PAUSE
    };
    pause.max(least)
}

impl<P: ProvideCredentials> ProvideCredentials for Kept<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.shared.current())
    }
}

impl<P: fmt::Debug> fmt::Debug for Kept<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("provider", &self.shared.provider)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;
    use tokio::time::Instant;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Gives the first at once, and each of the others when it may.
    #[derive(Clone, Debug)]
    struct Slow {
        lifetime: Option<Duration>,
        asked: Arc<AtomicUsize>,
        may: Arc<Semaphore>,
    }

    impl Slow {
        fn new(lifetime: Option<Duration>) -> Self {
            Self {
                lifetime,
                asked: Arc::default(),
                may: Arc::new(Semaphore::new(1)),
            }
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }

        async fn next(&self) -> Result<Credentials, CredentialsError> {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            self.may.acquire().await.unwrap().forget();
            let expiry = self.lifetime.map(|lifetime| SystemTime::now() + lifetime);
            let id = number.to_string();
            Ok(Credentials::new(id, "secret", None, expiry, "test"))
        }
    }

    impl ProvideCredentials for Slow {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(self.next())
        }
    }

    async fn asked_for(slow: &Slow, times: usize) {
        while slow.asked() < times {
            tokio::time::sleep(LEAST_PAUSE).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_while_credentials_are_renewed_before_they_expire() {
        let slow = Slow::new(Some(HOUR));
        let kept = Kept::new(slow.clone());
        let current = async || {
            let mut current = Box::pin(kept.provide_credentials());
            match poll!(&mut current) {
                std::task::Poll::Ready(current) => current.unwrap().access_key_id().to_owned(),
                std::task::Poll::Pending => panic!("had to wait"),
            }
        };
        assert_eq!(
            kept.provide_credentials().await.unwrap().access_key_id(),
            "0"
        );
        let began = Instant::now();
        asked_for(&slow, 2).await;
        let after = began.elapsed();
        assert!(
            after < HOUR && after > HOUR - 2 * RENEWED_BEFORE,
            "{after:?}"
        );
        assert_eq!(current().await, "0", "while it takes");
        slow.may.add_permits(1);
        tokio::time::sleep(LEAST_PAUSE).await;
        assert_eq!(current().await, "1");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_say_when_it_expires_is_asked_for_each_time() {
        let slow = Slow::new(None);
        slow.may.add_permits(10);
        let kept = Kept::new(slow.clone());
        for expected in ["0", "1"] {
            let credentials = kept.provide_credentials().await.unwrap();
            assert_eq!(credentials.access_key_id(), expected);
        }
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(slow.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_hangs_is_asked_again() {
        let slow = Slow::new(Some(HOUR));
        let kept = Kept::new(slow.clone());
        kept.provide_credentials().await.unwrap();
        asked_for(&slow, 3).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_expired_is_not_given_any_more() {
        let slow = Slow::new(Some(Duration::ZERO));
        slow.may.add_permits(10);
        let kept = Kept::new(slow.clone());
        for expected in ["0", "1"] {
            let credentials = kept.provide_credentials().await.unwrap();
            assert_eq!(credentials.access_key_id(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_handle_ends_the_renewal() {
        let slow = Slow::new(Some(HOUR));
        slow.may.add_permits(10);
        let kept = Kept::new(slow.clone());
        kept.provide_credentials().await.unwrap();
        drop(kept);
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(slow.asked(), 1);
    }
}
