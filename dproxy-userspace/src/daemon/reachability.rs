//! Tells the log when a backend cannot be reached any more, and when it can again.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use tracing::{info, warn};

use crate::control::Delivery;
use crate::network::Why;

/// Which addresses the log believes to be reachable.
#[derive(Debug, Default)]
pub(super) struct Reachability(BTreeMap<IpAddr, bool>);

/// What is worth a line.
#[derive(Debug, PartialEq, Eq)]
enum News<'r> {
    Lost(IpAddr, &'r Why),
    Back(IpAddr),
}

impl Reachability {
    /// Logs what has changed.
    pub(super) fn note(&mut self, deliveries: &BTreeMap<SocketAddr, Delivery>) {
        for news in self.news(deliveries) {
            match news {
                News::Lost(address, why) => warn!("backends at {address} are not reachable: {why}"),
                News::Back(address) => info!("backends at {address} are reachable again"),
            }
        }
    }

    /// Was an address not reachable when that was last known?
    pub(super) fn is_lost(&self, address: IpAddr) -> bool {
        self.0.get(&address) == Some(&false)
    }

    fn news<'r>(&mut self, deliveries: &'r BTreeMap<SocketAddr, Delivery>) -> Vec<News<'r>> {
        // All backends at an address are reached, or not, in the same way.
        let addresses: BTreeMap<IpAddr, &Delivery> =
            deliveries.iter().map(|(backend, delivery)| (backend.ip(), delivery)).collect();
        self.0.retain(|address, _| addresses.contains_key(address));
        let mut news = Vec::new();
        for (address, delivery) in addresses {
            match delivery {
                // Nothing is known before there is an answer.
                Delivery::Unreachable(Why::Asked { .. }) => {}
                Delivery::Unreachable(why) => {
                    if self.0.insert(address, false) != Some(false) {
                        news.push(News::Lost(address, why));
                    }
                }
                Delivery::NextHop(_) | Delivery::Local(_) | Delivery::SlowPath(_) => {
                    if self.0.insert(address, true) == Some(false) {
                        news.push(News::Back(address));
                    }
                }
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::fake::{asked, reachable, silent};
    use crate::network::Resolution;

    #[test]
    fn only_what_changes_is_news() {
        let address: SocketAddr = "192.168.1.9:53".parse().unwrap();
        let delivery = |resolution| match resolution {
            Resolution::Reachable(hop) => Delivery::NextHop(hop),
            Resolution::Unreachable(why) => Delivery::Unreachable(why),
        };
        let (up, down) = (delivery(reachable("192.168.1.1")), delivery(silent("192.168.1.9")));
        let unknown = delivery(asked("192.168.1.9"));
        let mut log = Reachability::default();
        let mut steps = Vec::new();
        for delivery in [&unknown, &up, &unknown, &up, &down, &unknown, &down, &unknown, &up, &down] {
            let deliveries = BTreeMap::from([(address, delivery.clone())]);
            steps.push(log.news(&deliveries).pop().map(|news| matches!(news, News::Back(_))));
        }
        let (lost, back, nothing) = (Some(false), Some(true), None);
        let expected = [nothing, nothing, nothing, nothing, lost, nothing, nothing, nothing, back, lost];
        assert_eq!(steps, expected);

        log.news(&BTreeMap::new());
        let news = BTreeMap::from([(address, up)]);
        assert_eq!(log.news(&news), [], "a backend that is added again begins anew");
    }
}
