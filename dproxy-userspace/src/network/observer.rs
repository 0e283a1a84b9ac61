//! Watches the kernel's network stack, and keeps neighbours fresh.

mod subscription;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use rtnetlink::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::warn;

use super::error::NetworkError;
use super::facts::Neighbour;
use super::netlink;
use super::resolution::{Verdict, View};
use subscription::Subscription;

/// Changes come in bursts: that much time, from the first one, to take them together.
const SETTLE: Duration = Duration::from_millis(20);
/// At least that much time from one report of changes to the next, however busy the network is.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait for the kernel.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before opening a broken subscription again.
const RETRY: Duration = Duration::from_secs(1);

/// The kernel's network stack, as seen from the network namespace that the observer was started in.
pub struct Observer {
    subscription: Subscription,
    /// When the first change came that was not reported yet.
    since: Option<Instant>,
    /// When changes were last reported.
    reported: Option<Instant>,
}

impl Observer {
    /// Starts watching: [`changed`](Self::changed) reports what changes from now on. To be called inside a
    /// tokio runtime.
    pub fn start() -> Result<Self, NetworkError> {
        let subscription = Subscription::open().map_err(NetworkError::Open)?;
        Ok(Self { subscription, since: None, reported: None })
    }

    /// Waits until something has changed that a resolution may depend on: interfaces, addresses, routes,
    /// rules, or the link-layer address of a neighbour. A change is not lost if the future is dropped.
    pub async fn changed(&mut self) {
        loop {
            tokio::select! {
                () = sleep_until(self.due()), if self.since.is_some() => {
                    self.since = None;
                    self.reported = Some(Instant::now());
                    return;
                }
                alive = self.subscription.change() => {
                    if !alive {
                        self.reopen().await;
                    }
                    self.since.get_or_insert_with(Instant::now);
                }
            }
        }
    }

    /// How each of `addresses` is reached by a fast path that is attached to the interfaces with the indices
    /// `attached`.
    ///
    /// Neighbours on the way that are unknown, silent or stale are asked for, so call this after each
    /// [change](Self::changed), and every few seconds in any case: then entries are confirmed as they
    /// would be with traffic of the kernel's own. It is the kernel that limits how often it asks.
    pub async fn resolve(&self, addresses: &[IpAddr], attached: &[u32]) -> Result<View, NetworkError> {
        // A connection each time: there is none to repair, and no late answer to an earlier question.
        let (connection, handle, _) = rtnetlink::new_connection().map_err(NetworkError::Open)?;
        tokio::select! {
            biased;
            answer = timeout(PATIENCE, look(&handle, addresses, attached)) => {
                answer.unwrap_or(Err(NetworkError::Silent(PATIENCE)))
            }
            () = connection => Err(NetworkError::Broken),
        }
    }

    /// When the changes since `since` are to be reported.
    fn due(&self) -> Instant {
        let settled = self.since.unwrap_or_else(Instant::now) + SETTLE;
        self.reported.map_or(settled, |reported| settled.max(reported + PAUSE))
    }

    async fn reopen(&mut self) {
        sleep(RETRY).await;
        match Subscription::open() {
            Ok(subscription) => self.subscription = subscription,
            Err(error) => warn!("{}", NetworkError::Open(error)),
        }
    }
}

/// Collects the facts, judges them, and asks for the neighbours that need it.
async fn look(handle: &Handle, addresses: &[IpAddr], attached: &[u32]) -> Result<View, NetworkError> {
    let facts = netlink::facts(handle, addresses).await?;
    let verdicts: BTreeMap<IpAddr, Verdict> =
        addresses.iter().map(|&address| (address, facts.verdict(address, attached))).collect();

    // Many backends may be behind one gateway.
    let due: BTreeSet<Neighbour> = verdicts.values().filter_map(|verdict| verdict.ask).collect();
    let mut refused = BTreeMap::new();
    for neighbour in due {
        if let Err(error) = netlink::ask(handle, neighbour).await {
            refused.insert(neighbour, error);
        }
    }
    let in_the_end = |verdict: Verdict| match verdict.ask.and_then(|neighbour| refused.get(&neighbour)) {
        Some(error) => verdict.resolution.although_not_asked(error),
        None => verdict.resolution,
    };
    let resolutions = verdicts.into_iter().map(|(address, verdict)| (address, in_the_end(verdict))).collect();
    Ok(View { resolutions, bypass: facts.bypass(attached) })
}
